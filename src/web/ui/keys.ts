// The chart page's keys.

import { byId, isTyping } from "./dom";

export interface Actions {
  /** So many rows on in the watchlist. */
  step(by: number): void;
  /** The timeframe with this index. */
  timeframe(n: number): void;
  /** The small chart with this index becomes the large one. */
  enlarge(n: number): void;
  search(): void;
  /** A letter was typed: the beginning of a symbol. */
  type(letter: string): void;
  validate(): void;
  /** What lies over or beside the chart. */
  close(): void;
  home(): void;
  threads(): void;
}

export function onKeys(actions: Actions): void {
  const help = byId<HTMLDialogElement>("help");
  byId("help-open").addEventListener("click", () => help.showModal());
  byId("help-close").addEventListener("click", () => help.close());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (isTyping(event.target)) return;
    // Space and Enter belong to the focused button.
    if (act(event, actions, () => help.showModal())) event.preventDefault();
  });
}

function act(event: KeyboardEvent, actions: Actions, help: () => void): boolean {
  const digit = /^Digit([1-4])$/.exec(event.code)?.[1];
  if (digit !== undefined) {
    if (event.shiftKey) actions.enlarge(Number(digit) - 1);
    else actions.timeframe(Number(digit) - 1);
    return true;
  }
  switch (event.key) {
    case "ArrowDown":
      actions.step(1);
      return true;
    case "ArrowUp":
      actions.step(-1);
      return true;
    case "Home":
      actions.home();
      return true;
    case "/":
      actions.search();
      return true;
    case "?":
      help();
      return true;
    case "!":
      actions.threads();
      return true;
    case "Escape":
      actions.close();
      return true;
    case "v":
      actions.validate();
      return true;
    default:
      if (/^[A-Z]$/.test(event.key)) {
        actions.type(event.key);
        return true;
      }
      return false;
  }
}
