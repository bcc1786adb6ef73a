// One chart's place on the page: its symbol, its candles and what is said about them.

import { CandleSeries } from "../core/candles";
import { Indicators, premarketHigh, type Row } from "../core/indicators";
import { marks, type Trade } from "../core/markers";
import { clock } from "../core/newyork";
import { candles as readCandles } from "../core/parse";
import { briefly, type Supply, supplied } from "../core/supply";
import type { Candle, Quote, Timeframe } from "../core/types";
import { ask, segment } from "../net/api";
import { Poller } from "../net/poller";
import { ChartView, type Level } from "./chartview";
import { framed, make, setText, show } from "./dom";

/** A chart that fails is looked at more often than other things: somebody waits for it. */
const FAILING_MAX_MS = 2_500;

/** What the page tells every slot. */
export interface Surroundings {
  /** Now, on the market's clock. */
  now(): number;
  previousClose(symbol: string): number | null;
  trades(): readonly Trade[];
  /** How often candles are asked for while all is well. */
  candlesEveryMs(): number;
  /** Prices that a plan for the symbol names. */
  levels(symbol: string): readonly Level[];
  /** What an answer says of the provider: empty when it is well. */
  provider(why: string): void;
}

export class Slot {
  readonly view: ChartView;
  symbol: string | null = null;
  timeframe: Timeframe = "1m";
  supply: Supply = { kind: "loading" };
  /** Levels of a verdict, besides the day's own. */
  plan: readonly Level[] = [];

  private series = new CandleSeries("1m");
  private readonly indicators = new Indicators();
  private rowsOf: Row[] = [];
  private drawn: "nothing" | "all" = "nothing";
  private goHome = true;
  private selection = new AbortController();
  private readonly notice = make("p", "notice");
  private readonly draw = framed(() => this.drawNow());
  private readonly poller: Poller;

  constructor(
    box: HTMLElement,
    private readonly size: "primary" | "small",
    private readonly around: Surroundings,
    private readonly onDrawn: (slot: Slot) => void,
  ) {
    const canvas = make("div", "canvas");
    canvas.setAttribute("aria-hidden", "true");
    this.notice.setAttribute("role", "status");
    box.append(canvas, this.notice);
    this.view = new ChartView(canvas, size);
    this.poller = new Poller(() => around.candlesEveryMs(), () => this.load(), { failingMaxMs: FAILING_MAX_MS });
    this.tell();
  }

  get candles(): readonly Candle[] {
    return this.supply.kind === "loading" ? [] : this.series.candles;
  }

  row(index: number): Row | undefined {
    return this.rowsOf[index];
  }

  /** Shows another series; true if it is another. */
  select(symbol: string | null, timeframe: Timeframe): boolean {
    if (symbol === this.symbol && timeframe === this.timeframe) return false;
    this.symbol = symbol;
    this.timeframe = timeframe;
    // What was asked for the series before is no longer wanted, and leaves its place to others.
    this.selection.abort();
    this.selection = new AbortController();
    this.series = new CandleSeries(timeframe);
    this.supply = { kind: "loading" };
    this.plan = [];
    this.drawn = "nothing";
    this.goHome = true;
    this.draw();
    this.poll();
    return true;
  }

  /** Asks for the candles now, and from then on again and again. */
  poll(): void {
    this.poller.now();
  }

  private async load(): Promise<boolean> {
    const { symbol, timeframe } = this;
    const { signal } = this.selection;
    if (symbol === null) return true;
    const reply = await ask(`/api/candles/${segment(symbol)}?timeframe=${timeframe}`, "market", { signal });
    if (signal.aborted) return true;
    const fresh = readCandles(reply.body);
    this.supply = supplied(
      this.supply,
      { status: reply.status, count: fresh.length, stale: reply.stale, ageS: reply.ageS, detail: reply.detail },
      this.around.now(),
    );
    if (reply.status === 200 && fresh.length > 0) {
      this.series.replace(fresh);
      this.drawn = "nothing";
    }
    // The server says in its own words when its provider fails; "no data" is an answer.
    const well = reply.status === 200 || reply.status === 404;
    if (reply.status !== 0) this.around.provider(well ? (reply.stale ?? "") : (reply.detail ?? ""));
    this.draw();
    return well && reply.stale === null;
  }

  quote(quote: Quote): void {
    if (quote.symbol !== this.symbol) return;
    const change = this.series.apply(quote);
    if (change === "none") return;
    if (change === "trimmed") this.drawn = "nothing";
    if (this.supply.kind === "empty" || this.supply.kind === "unknown") this.supply = { kind: "good" };
    // A lone candle before the others are there would only jump.
    if (this.supply.kind !== "loading") this.draw();
  }

  /** After trades, levels or the close before became known. */
  refresh(): void {
    this.draw();
    if (this.drawn === "all") this.setMarks();
  }

  private drawNow(): void {
    const candles = this.supply.kind === "loading" ? [] : this.series.candles;
    if (this.drawn === "all") {
      const { from, rows } = this.indicators.advance(candles);
      this.view.advance(candles.slice(from), rows, candles);
      this.rowsOf.splice(from, this.rowsOf.length, ...rows);
    } else {
      this.rowsOf = this.indicators.rebuild(candles);
      this.view.set(candles, this.rowsOf, this.timeframe, this.goHome && candles.length > 0);
      if (candles.length > 0) {
        this.drawn = "all";
        this.goHome = false;
      }
      this.setMarks();
    }
    this.view.setLevels(this.levels());
    this.tell();
    this.onDrawn(this);
  }

  private levels(): Level[] {
    if (this.symbol === null || this.series.candles.length === 0) return [];
    const levels: Level[] = [...this.plan, ...(this.size === "primary" ? this.around.levels(this.symbol) : [])];
    const close = this.around.previousClose(this.symbol);
    if (close !== null && this.timeframe !== "D") levels.push({ name: "prev close", price: close, kind: "close" });
    const high = this.timeframe === "D" ? null : premarketHigh(this.series.candles);
    if (high !== null) levels.push({ name: "pre-market high", price: high, kind: "premarket" });
    return levels;
  }

  private setMarks(): void {
    // Too small for words, or too many in one candle.
    if (this.size === "small" || this.timeframe === "D") {
      this.view.setMarks([]);
      return;
    }
    const trades = this.around.trades().filter((t) => t.symbol === this.symbol);
    this.view.setMarks(marks(trades, this.series.candles));
  }

  private tell(): void {
    const words = this.symbol === null ? "" : this.words(this.supply);
    setText(this.notice, words);
    show(this.notice, words !== "");
    this.notice.dataset["kind"] = this.supply.kind;
  }

  private words(supply: Supply): string {
    switch (supply.kind) {
      case "good":
        return "";
      case "loading":
        return "loading…";
      case "empty":
        return "No trades yet";
      case "unknown":
        return this.size === "small" ? "unknown symbol" : `${this.symbol ?? ""} is unknown: no candles, no quote, not in the watchlist`;
      case "stale":
        return `stale since ${clock(supply.sinceMs)}${this.size === "small" ? "" : `, ${briefly(supply.why)}`}`;
      case "failed":
        return `no candles: ${briefly(supply.why)}`;
    }
  }
}
