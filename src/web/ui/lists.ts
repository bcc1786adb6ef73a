// The lists beside the chart: runners, signals, positions, rotation.

import { big, duration, money, percent, price, score, times } from "../core/format";
import { clock } from "../core/newyork";
import type { View } from "../core/perishable";
import { fromHigh, place, type PositionRow, type RotationRow, type RunnerRow, type SignalRow } from "../core/rows";
import { briefly } from "../core/supply";
import { byId, make, reconcile, setAttribute, setClass, setText, show, tone } from "./dom";

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

const joined = (words: readonly string[], by = ", "): string => words.filter((w) => w !== "").join(by);

const plan = (words: string, value: number | null): string => (value === null ? "" : `${words} ${price(value)}`);

export function drawRunners(rows: readonly RunnerRow[], lastOf: (s: string) => number | null, why: string, select: Select): void {
  emptyWords("runners-empty", rows.length, why === "" ? "no active runners" : why);
  reconcile(
    byId("runners"),
    rows,
    (r) => r.symbol,
    (r) => {
      const node = item(r.symbol, select);
      node.append(make("div", "range", [make("span", "range-mark")]), make("div", "item-more plan"));
      return node;
    },
    (node, r) => {
      const last = lastOf(r.symbol) ?? r.price;
      const far = fromHigh(r, last);
      const words = [r.status ?? "", r.day === null ? "" : `day ${r.day}`, r.quality === null ? "" : `quality ${score(r.quality)}`];
      const more = [
        r.gap === null ? "" : `gap ${percent(r.gap)}${r.catalyst === null ? "" : ` by ${r.catalyst}`}`,
        last === null ? "" : `last ${price(last)}`,
        r.dayOneHigh === null ? "" : `first day's high ${price(r.dayOneHigh)}`,
      ];
      fill(node, joined(words, " · "), percent(far), tone(far), joined(more));
      setAttribute(node, "title", joined(["Distance from the first day's high", r.details ?? ""], ". "));
      node.dataset["status"] = r.status ?? "";
      const [, , bar, plans] = Array.from(node.children);
      const at = place(r, last);
      if (bar instanceof HTMLElement) bar.hidden = at === null;
      const mark = bar?.firstElementChild;
      if (mark instanceof HTMLElement && at !== null) mark.style.left = `${(at * 100).toFixed(1)}%`;
      const entries = r.entries.map((e) => `${price(e.price)} (${e.words})`).join(", ");
      const stop = r.stop === null ? "" : `stop ${price(r.stop.price)}`;
      if (plans instanceof HTMLElement) {
        setText(plans, joined([entries === "" ? "" : `entry ${entries}`, stop]));
        show(plans, plans.textContent !== "");
        setAttribute(plans, "title", r.stop === null || r.stop.words === "" ? null : `stop: ${r.stop.words}`);
      }
    },
  );
}

/** What a list says where it has no rows, or old ones; the rows it shows. */
function perishable<R>(id: string, view: View<readonly R[]>, none: string, offsetMs: number): readonly R[] {
  const rows = view.kind === "live" || view.kind === "old" ? view.value : [];
  const words = {
    waiting: () => "",
    live: () => none,
    old: () => (view.kind === "old" ? `as of ${clock(view.asOfMs + offsetMs)}: ${briefly(view.why, "trader app")}` : ""),
    unknown: () => (view.kind === "unknown" ? `unknown: ${briefly(view.why, "trader app")}` : ""),
  }[view.kind]();
  const note = byId(`${id}-empty`);
  setText(note, words);
  show(note, words !== "" && (view.kind !== "live" || rows.length === 0));
  setAttribute(note, "title", view.kind === "old" || view.kind === "unknown" ? view.why : null);
  setClass(note, "bad", view.kind === "old" || view.kind === "unknown");
  setClass(byId(id), "old", view.kind === "old");
  return rows;
}

export function drawSignals(view: View<readonly SignalRow[]>, nowMs: number, offsetMs: number, select: Select): void {
  const rows = perishable("signals", view, "no signals", offsetMs);
  reconcile(
    byId("signals"),
    rows.slice(0, 12),
    (r) => `${r.symbol} ${r.atMs} ${r.pattern}`,
    (r) => item(r.symbol, select),
    (node, r) => {
      const isOver = r.expiresMs !== null && r.expiresMs <= nowMs;
      const age = r.atMs === null ? "" : `${duration(nowMs - r.atMs)} ago`;
      const left = r.expiresMs === null || isOver ? "" : `${duration(r.expiresMs - nowMs)} left`;
      const words = [
        plan("entry", r.entry),
        plan("stop", r.stop),
        plan("target", r.target),
        r.riskReward === null ? "" : `R:R ${r.riskReward.toFixed(1)}`,
      ];
      const beside = [
        r.shares === null ? "" : `${r.shares} shares`,
        r.gap === null ? "" : `gap ${percent(r.gap)}`,
        r.volumeRatio === null ? "" : `volume ${times(r.volumeRatio)}`,
      ];
      fill(node, r.pattern, isOver ? "expired" : joined([age, left]), "", joined(words));
      setAttribute(node, "title", joined(beside));
      setClass(node, "over", isOver);
    },
  );
}

export function drawPositions(view: View<readonly PositionRow[]>, offsetMs: number, select: Select): void {
  const rows = perishable("positions", view, "no open positions", offsetMs);
  const gains = rows.flatMap((r) => (r.gain === null ? [] : [r.gain]));
  const total = gains.reduce((sum, gain) => sum + gain, 0);
  const sum = byId("positions-sum");
  setText(sum, gains.length === 0 ? "" : money(total));
  setClass(sum, "up", total > 0);
  setClass(sum, "down", total < 0);
  reconcile(
    byId("positions"),
    rows,
    (r) => `${r.symbol} ${r.entry} ${r.shares}`,
    (r) => item(r.symbol, select),
    (node, r) => {
      const words = `${r.shares ?? "–"} shares${r.entry === null ? "" : ` at ${price(r.entry)}`}`;
      const more = [plan("now", r.price), plan("stop", r.stop), plan("target", r.target), r.warning ?? ""];
      const figure = `${money(r.gain)} ${r.gainPercent === null ? "" : `(${percent(r.gainPercent)})`}`;
      fill(node, words, figure.trim(), tone(r.gain), joined(more));
      setClass(node, "warned", r.warning !== null);
    },
  );
}

const ROTATION_ERRORS: Record<string, string> = {
  trader_app_unavailable: "the trader app cannot be reached",
  trader_app_error: "the trader app answers with an error",
  timeout: "the trader app is too slow",
  fetch_error: "the trader app's answer is unusable",
};

export function drawRotation(row: RotationRow, select: Select): void {
  const counted = (count: number | null, words: string): string => (count === null ? "" : `${count} ${words}`);
  const words = [
    row.turn === null || row.turns === null ? "" : `turn ${row.turn} of ${row.turns}`,
    counted(row.slots, "discovery slots"),
    counted(row.universe, "symbols"),
    counted(row.promotions, "promotions"),
  ];
  const off = row.enabled ? joined(words) : "off";
  setText(byId("rotation-words"), row.error === null ? off : (ROTATION_ERRORS[row.error] ?? row.error));
  reconcile(
    byId("rotation"),
    row.promoted,
    (p) => p.symbol,
    (p) => make("li", "", [symbolButton(p.symbol, select), make("span", "words")]),
    (node, p) => {
      const since = p.seconds === null ? "" : `${duration(p.seconds * 1_000)} ago`;
      const why = node.lastElementChild;
      if (why !== null) setText(why, joined([p.reason ?? "", since]));
      const stats = [p.volume === null ? "" : `${big(p.volume)} shares`, p.rangePercent === null ? "" : `range ${percent(p.rangePercent)}`];
      setAttribute(node, "title", joined(["promoted", ...stats]));
    },
  );
}
