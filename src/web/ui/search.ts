// The symbol box: any symbol can be typed, those of the watchlist are proposed.

import { find } from "../core/find";
import { symbol as readSymbol } from "../core/parse";
import { byId, make, setAttribute, show } from "./dom";

const PROPOSED_MAX = 8;

export class SymbolSearch {
  private readonly input = byId<HTMLInputElement>("search-input");
  private readonly list = byId("search-list");
  private found: string[] = [];
  private at = -1;
  private before: Element | null = null;

  constructor(
    private readonly candidates: () => readonly string[],
    private readonly onSelect: (symbol: string) => void,
  ) {
    this.input.addEventListener("input", () => this.propose());
    this.input.addEventListener("focus", () => this.propose());
    this.input.addEventListener("blur", () => this.close());
    this.input.addEventListener("keydown", (event) => this.key(event));
    // Before the focus goes, which would close the list.
    this.list.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const row = event.target instanceof Element ? event.target.closest("li") : null;
      const symbol = row?.dataset["symbol"];
      if (symbol !== undefined) this.take(symbol);
    });
    byId("search").addEventListener("submit", (event) => event.preventDefault());
  }

  open(typed = ""): void {
    this.before = document.activeElement;
    this.input.focus();
    this.input.value = typed;
    if (typed === "") this.input.select();
    this.propose();
  }

  private propose(): void {
    this.found = find(this.input.value, this.candidates(), PROPOSED_MAX);
    this.at = this.input.value === "" ? -1 : 0;
    this.draw();
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      this.leave();
    } else if (event.key === "Enter") {
      const symbol = this.found[this.at];
      const typed = readSymbol(this.input.value);
      // What is typed in full counts more than what is proposed.
      const exact = typed !== null && this.found.includes(typed);
      const chosen = exact ? typed : (symbol ?? typed);
      if (chosen !== null) this.take(chosen);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.at = Math.min(this.found.length - 1, Math.max(-1, this.at + step));
      this.draw();
    } else {
      return;
    }
    event.preventDefault();
  }

  private take(symbol: string): void {
    this.leave();
    this.onSelect(symbol);
  }

  private leave(): void {
    this.input.value = "";
    this.input.blur();
    if (this.before instanceof HTMLElement) this.before.focus({ preventScroll: true });
    this.before = null;
  }

  private close(): void {
    show(this.list, false);
    setAttribute(this.input, "aria-expanded", "false");
    setAttribute(this.input, "aria-activedescendant", null);
  }

  private draw(): void {
    const isOpen = document.activeElement === this.input && this.found.length > 0;
    show(this.list, isOpen);
    setAttribute(this.input, "aria-expanded", String(isOpen));
    setAttribute(this.input, "aria-activedescendant", isOpen && this.at >= 0 ? `found-${this.at}` : null);
    this.list.replaceChildren(
      ...this.found.map((symbol, i) => {
        const row = make("li", "", [make("b", "", symbol)]);
        row.id = `found-${i}`;
        row.dataset["symbol"] = symbol;
        row.setAttribute("role", "option");
        row.setAttribute("aria-selected", String(i === this.at));
        return row;
      }),
    );
  }
}
