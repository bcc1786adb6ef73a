// The lists beside the chart: runners, signals, positions, rotation.

import { duration, money, percent, price } from "../core/format";
import { fields, list, number, symbol as readSymbol, text } from "../core/parse";
import { type PositionRow, type RunnerRow, type SignalRow, zone } from "../core/rows";
import { byId, make, reconcile, setClass, setText, show, tone } from "./dom";

type Select = (symbol: string) => void;

function symbolButton(name: string, select: Select): HTMLButtonElement {
  const button = make("button", "symbol", name);
  button.type = "button";
  button.addEventListener("click", () => select(name));
  return button;
}

/** A list item: the symbol, a figure at the right, and words below. */
function item(name: string, select: Select): HTMLLIElement {
  const head = make("div", "item-head", [
    symbolButton(name, select),
    make("span", "figure"),
  ]);
  return make("li", "item", [head, make("div", "item-more", [make("span", "words"), make("span")])]);
}

function fill(node: HTMLElement, words: string, figure: string, figureTone: string, more: string): void {
  const figureNode = node.querySelector(".figure");
  const [wordsNode, moreNode] = Array.from(node.children[1]?.children ?? []);
  if (wordsNode) setText(wordsNode, words === "" || more === "" ? words : `${words}, `);
  if (figureNode) {
    setText(figureNode, figure);
    figureNode.className = `figure ${figureTone}`;
  }
  if (moreNode) setText(moreNode, more);
}

function emptyWords(id: string, count: number, words: string): void {
  const node = byId(id);
  setText(node, words);
  show(node, count === 0);
}

const ZONE_WORDS = { breakout: "breakout", upper: "upper half", lower: "lower half", faded: "faded" };

export function drawRunners(rows: readonly RunnerRow[], lastOf: (s: string) => number | null, why: string, select: Select): void {
  emptyWords("runners-empty", rows.length, why === "" ? "no active runners" : why);
  reconcile(
    byId("runners"),
    rows,
    (r) => r.symbol,
    (r) => {
      const node = item(r.symbol, select);
      node.append(make("div", "range", [make("span", "range-mark")]));
      return node;
    },
    (node, r) => {
      const last = lastOf(r.symbol) ?? r.last;
      const gain =
        last !== null && r.previousClose !== null && r.previousClose > 0
          ? (last / r.previousClose - 1) * 100
          : r.gain;
      const known = last !== null && r.low !== null && r.high !== null;
      const at = known ? zone(last, r.low ?? 0, r.high ?? 0, r.previousClose) : null;
      const words = [r.told ?? (at === null ? "" : ZONE_WORDS[at.zone]), r.day === null ? "" : `day ${r.day}`];
      fill(
        node,
        words.filter((w) => w !== "").join(" · "),
        percent(gain),
        tone(gain),
        [known ? `${price(r.low)} – ${price(r.high)}` : "", last === null ? "" : `last ${price(last)}`].filter((w) => w !== "").join(", "),
      );
      node.dataset["zone"] = at?.zone ?? "";
      const bar = node.children[2];
      const mark = bar?.firstElementChild;
      if (bar instanceof HTMLElement) bar.hidden = at === null;
      if (mark instanceof HTMLElement && at !== null) mark.style.left = `${(at.share * 100).toFixed(1)}%`;
    },
  );
}

export function drawSignals(rows: readonly SignalRow[], nowMs: number, select: Select): void {
  emptyWords("signals-empty", rows.length, "no signals");
  reconcile(
    byId("signals"),
    rows.slice(0, 12),
    (r) => `${r.symbol} ${r.atMs} ${r.what}`,
    (r) => item(r.symbol, select),
    (node, r) => {
      const age = r.atMs === null ? "" : `${duration(nowMs - r.atMs)} ago`;
      const plan = r.price === null ? [] : [`at ${price(r.price)}`];
      if (r.stop !== null) plan.push(`stop ${price(r.stop)}`);
      if (r.target !== null) plan.push(`target ${price(r.target)}`);
      if (r.confidence !== null) plan.push(`${r.confidence.toFixed(0)} %`);
      fill(node, r.what, age, "", plan.join(", "));
    },
  );
}

export function drawPositions(rows: readonly PositionRow[], select: Select): void {
  emptyWords("positions-empty", rows.length, "no open positions");
  const total = rows.reduce((sum, r) => sum + (r.gain ?? 0), 0);
  const sum = byId("positions-sum");
  setText(sum, rows.length === 0 ? "" : money(total));
  setClass(sum, "up", total > 0);
  setClass(sum, "down", total < 0);
  reconcile(
    byId("positions"),
    rows,
    (r) => `${r.symbol} ${r.entry} ${r.shares}`,
    (r) => item(r.symbol, select),
    (node, r) => {
      const words = `${r.side === "long" ? "" : `${r.side} `}${r.shares ?? "–"} shares${r.entry === null ? "" : ` at ${price(r.entry)}`}`;
      const plan = [r.stop === null ? "" : `stop ${price(r.stop)}`, r.target === null ? "" : `target ${price(r.target)}`];
      const figure = `${money(r.gain)} ${r.gainPercent === null ? "" : `(${percent(r.gainPercent)})`}`;
      fill(node, words, figure.trim(), tone(r.gain), plan.filter((w) => w !== "").join(", "));
    },
  );
}

const ROTATION_ERRORS: Record<string, string> = {
  trader_app_unavailable: "the trader app cannot be reached",
  trader_app_error: "the trader app answers with an error",
  timeout: "the trader app is too slow",
  fetch_error: "the trader app's answer is unusable",
};

export function drawRotation(body: unknown, select: Select): void {
  const f = fields(body);
  const error = text(f, "error");
  const priority = list(f["priority_symbols"]).map(readSymbol).filter((s): s is string => s !== null);
  const chunk = number(f, "current_chunk_idx");
  const chunks = number(f, "chunk_count");
  const counted = (name: string, words: string): string => {
    const count = number(f, name);
    return count === null ? "" : `${count} ${words}`;
  };
  const words = [
    chunk === null || chunks === null ? "" : `turn ${chunk + 1} of ${chunks}`,
    counted("discovery_slots", "discovery slots"),
    counted("universe_size", "symbols"),
    counted("total_promotions", "promotions"),
  ];
  const off = f["enabled"] === true ? words.filter((w) => w !== "").join(", ") : "off";
  setText(byId("rotation-words"), error === null ? off : (ROTATION_ERRORS[error] ?? error));
  reconcile(
    byId("rotation"),
    priority,
    (s) => s,
    (s) => make("li", "", [symbolButton(s, select)]),
    () => undefined,
  );
}

