// The chart page: puts its parts together and says who is told what.

import { big, percent, price } from "./core/format";
import { type Trade, readTrades } from "./core/markers";
import { clock, dayAndMinute, date } from "./core/newyork";
import { fields, number, providerQuote, text } from "./core/parse";
import { Perishable } from "./core/perishable";
import {
  change,
  describe as describeRow,
  type PositionRow,
  positionRows,
  rotationRow,
  type RunnerRow,
  runnerRows,
  type SignalRow,
  signalRows,
  spikes,
  watchRows,
} from "./core/rows";
import type { Vwap } from "./core/shapes";
import { type PageState, readState, smallSymbols, SMALLS, writeState } from "./core/state";
import { briefly, noVerdict } from "./core/supply";
import { type Quote, TIMEFRAMES, type Timeframe } from "./core/types";
import { ask, type Reply, segment } from "./net/api";
import { Poller } from "./net/poller";
import { Stream } from "./net/stream";
import { type Level, toTime } from "./ui/chartview";
import { announce, byId, framed, make, setAttribute, setClass, setText, show, tone } from "./ui/dom";
import { onKeys } from "./ui/keys";
import { drawPositions, drawRotation, drawRunners, drawSignals } from "./ui/lists";
import { SymbolSearch } from "./ui/search";
import { Slot, type Surroundings } from "./ui/slot";
import { drawClock, drawFeed, Server } from "./ui/status";
import { Verdicts } from "./ui/verdict";
import { Watchlist } from "./ui/watchlist";

let state: PageState = readState(location.search);
let provider: string | null = null;
let relay: boolean | null = null;
let trades: readonly Trade[] = [];
let crosshair: number | null = null;
let hasWatchlist = false;
const lastPrices = new Map<string, number>();
/** The close before, as quotes tell it. */
const closes = new Map<string, number>();

const server = new Server(() => drawHead());
const around: Surroundings = {
  now: () => server.now(),
  previousClose: (symbol) => closes.get(symbol) ?? null,
  trades: () => trades,
  candlesEveryMs: () => (streaming() ? CANDLES_STREAMING_MS : CANDLES_POLLING_MS),
  levels: runnerLevels,
  provider: (why) => {
    provider = why;
    drawHead();
  },
};

const primary = new Slot(byId("primary"), "primary", around, () => {
  drawLegend();
  offerVerdict();
});
const smalls = Array.from({ length: SMALLS }, (_, i) => makeSmall(i));
const slots = [primary, ...smalls.map((s) => s.slot)];
const watchlist = new Watchlist(
  state.order,
  around.previousClose,
  (symbol) => go({ symbol }),
  (order) => go({ order }, "replace"),
);
const verdicts = new Verdicts((symbol, levels) => {
  if (symbol !== primary.symbol) return;
  primary.plan = levels;
  primary.refresh();
});
const search = new SymbolSearch(
  () => watchlist.symbols(),
  (symbol) => go({ symbol }),
);
const stream = new Stream(onQuote, pollCandles, () => {
  pollCandles();
  quotePoller.now();
  drawHead();
});

primary.view.onCrosshair((index) => {
  crosshair = index;
  drawLegend();
});

// --- what is shown -------------------------------------------------------------------------------

/** Goes to another state: a new symbol or timeframe is a step back in the browser's history. */
function go(to: Partial<PageState>, how: "push" | "replace" = "push"): void {
  const before = writeState(state);
  state = { ...state, ...to };
  const after = writeState(state);
  if (after !== before) history[how === "push" ? "pushState" : "replaceState"](null, "", after === "" ? "/" : after);
  apply();
}

function apply(): void {
  // An address that names no symbol stands for the watchlist's first.
  if (state.symbol === null) state = { ...state, symbol: watchlist.first() };
  if (primary.select(state.symbol, state.timeframe)) {
    verdicts.select(state.symbol);
    crosshair = null;
    vwap.forget();
    drawVwap();
    quotePoller.now();
    vwapPoller.now();
    if (state.symbol !== null) announce(`${state.symbol}, ${state.timeframe}`);
  }
  const shown = smallSymbols(state, watchlist.symbols());
  smalls.forEach(({ slot, title }, i) => {
    const symbol = shown[i] ?? null;
    slot.select(symbol, state.timeframe);
    setText(title, symbol ?? "");
    title.disabled = symbol === null;
  });
  watchlist.select(state.symbol);
  stream.want([...watchlist.symbols(), ...slots.flatMap((s) => (s.symbol === null ? [] : [s.symbol]))]);
  document.title = state.symbol === null ? "tapewarden" : `${state.symbol} ${state.timeframe} · tapewarden`;
  for (const button of byId("timeframes").querySelectorAll("button")) {
    setAttribute(button, "aria-pressed", String(button.value === state.timeframe));
  }
  setText(byId("primary-symbol"), state.symbol ?? "–");
  drawLegend();
  offerVerdict();
}

function makeSmall(i: number): { slot: Slot; title: HTMLButtonElement; figure: HTMLElement } {
  const title = make("button", "symbol");
  title.type = "button";
  title.title = `Show large (Shift+${i + 1})`;
  const figure = make("span", "figure");
  const box = make("div", "chart-box");
  byId("smalls").append(make("article", "small", [make("header", "", [title, figure]), box]));
  const slot = new Slot(box, "small", around, () => {
    const last = slot.candles[slot.candles.length - 1];
    const moved = last === undefined || slot.symbol === null ? null : change(last.close, around.previousClose(slot.symbol));
    setText(figure, last === undefined ? "" : `${price(last.close)} ${moved === null ? "" : percent(moved)}`);
    figure.className = `figure ${tone(moved)}`;
  });
  title.addEventListener("click", () => enlarge(i));
  return { slot, title, figure };
}

/** A small chart and the primary one change places. */
function enlarge(i: number): void {
  const symbol = smalls[i]?.slot.symbol;
  if (symbol === null || symbol === undefined) return;
  const shown = smallSymbols(state, watchlist.symbols());
  if (state.symbol !== null) shown[i] = state.symbol;
  go({ symbol, smalls: shown });
}

const drawLegend = framed(() => {
  const candles = primary.candles;
  const index = crosshair ?? candles.length - 1;
  const candle = candles[index] ?? candles[candles.length - 1];
  const symbol = primary.symbol;
  const last = candles[candles.length - 1];
  const close = symbol === null ? null : around.previousClose(symbol);
  const moved = last === undefined ? null : change(last.close, close);
  setText(byId("primary-last"), last === undefined ? "" : price(last.close));
  setText(byId("primary-change"), moved === null ? "" : percent(moved));
  byId("primary-change").className = `figure ${tone(moved)}`;
  const listed = symbol === null ? undefined : watchlist.row(symbol);
  const words = listed === undefined ? "" : describeRow(listed);
  setText(byId("primary-name"), words);
  setAttribute(byId("primary-name"), "title", words);
  const legend = byId("legend");
  show(legend, candle !== undefined);
  if (candle === undefined) return;
  const row = primary.row(candles[index] === undefined ? candles.length - 1 : index);
  const when = primary.timeframe === "D" ? date(candle.ms) : dayAndMinute(candle.ms);
  setText(byId("legend-when"), when);
  const ohlc = `O ${price(candle.open)}  H ${price(candle.high)}  L ${price(candle.low)}  C ${price(candle.close)}  V ${big(candle.volume)}`;
  setText(byId("legend-ohlcv"), ohlc);
  byId("legend-ohlcv").className = candle.close >= candle.open ? "up" : "down";
  setText(byId("legend-vwap"), primary.timeframe === "D" ? "" : `VWAP ${price(row?.vwap)}`);
  setText(byId("legend-fast"), `EMA 9 ${price(row?.fast)}`);
  setText(byId("legend-slow"), `EMA 20 ${price(row?.slow)}`);
});

function describe(): void {
  const last = primary.candles[primary.candles.length - 1];
  const words =
    primary.symbol === null || last === undefined
      ? "Chart without candles"
      : `Chart of ${primary.symbol}, ${primary.timeframe}, ${primary.candles.length} candles, last price ${price(last.close)} at ${clock(last.ms)} New York`;
  setAttribute(byId("primary"), "aria-label", words);
}

const drawHead = framed(() => {
  drawFeed({ feed: stream.feed, provider, relay }, server);
  drawClock(server.now());
});

// --- prices --------------------------------------------------------------------------------------

function onQuote(quote: Quote): void {
  if (quote.last > 0) {
    lastPrices.set(quote.symbol, quote.last);
    watchlist.price(quote.symbol, quote.last);
  }
  if (quote.previousClose !== null && quote.previousClose !== closes.get(quote.symbol)) {
    closes.set(quote.symbol, quote.previousClose);
    watchlist.refresh();
    for (const slot of slots) if (slot.symbol === quote.symbol) slot.refresh();
  }
  for (const slot of slots) slot.quote(quote);
}

/** After the stream was lost or is back: what it did not bring is fetched. */
function pollCandles(): void {
  for (const slot of slots) slot.poll();
}

const streaming = (): boolean => stream.feed.mode === "streaming";

/** Streamed candles are held against the provider's now and then, polled ones as often as it is polite. */
const CANDLES_STREAMING_MS = 120_000;
const CANDLES_POLLING_MS = 30_000;

/** While there is no stream the primary chart's last candle moves by polled quotes. */
const quotePoller = new Poller(
  () => 5_000,
  async () => {
    const symbol = primary.symbol;
    if (symbol === null) return true;
    const known = around.previousClose(symbol) !== null;
    if (streaming() && known) return true;
    const reply = await ask(`/api/quote/${segment(symbol)}`, "market");
    if (reply.status !== 200) {
      if (reply.status > 404) around.provider(reply.detail ?? "");
      return reply.status === 404;
    }
    around.provider(reply.stale ?? "");
    const quote = providerQuote(symbol, reply.body);
    if (quote.previousClose !== null && !known) {
      closes.set(symbol, quote.previousClose);
      watchlist.refresh();
      primary.refresh();
    }
    if (!streaming() && reply.stale === null) stream.polled(quote);
    return reply.stale === null;
  },
);

/** Two polls and a half of what is asked for every five seconds. */
const LIVE_MS = 12_500;

const vwap = new Perishable((body) => {
  const f = fields<Vwap>(body);
  return { price: number(f, "vwap"), source: text(f, "source"), isOld: f.stale === true };
}, LIVE_MS);

/** Why there is no VWAP; where the trader app itself says that there is none, there is nothing to say. */
const NO_VWAP: Record<string, string> = { timeout: "the trader app is too slow", error: "the trader app's answer is unusable" };

function drawVwap(): void {
  const view = vwap.view(Date.now());
  let words = "";
  if (view.kind === "unknown") words = `trader's VWAP unknown: ${briefly(view.why, "trader app")}`;
  else if (view.kind !== "waiting") {
    const { price: value, source, isOld } = view.value;
    const since = view.kind === "old" ? ` as of ${clock(view.asOfMs + server.offsetMs())}` : isOld ? " (old)" : "";
    const none = NO_VWAP[source ?? ""];
    if (value !== null) words = `trader's VWAP ${price(value)}${since}`;
    else if (none !== undefined || view.kind === "old") words = `trader's VWAP unknown: ${none ?? (view.kind === "old" ? briefly(view.why, "trader app") : "")}`;
  }
  setText(byId("trader-vwap"), words);
  setClass(byId("trader-vwap"), "bad", view.kind === "old" || view.kind === "unknown");
}

const vwapPoller = new Poller(
  () => 5_000,
  async () => {
    const symbol = primary.symbol;
    if (symbol === null) return true;
    const reply = await ask(`/api/vwap/${segment(symbol)}`, "trader");
    if (symbol !== primary.symbol) return true;
    vwap.take(reply, Date.now());
    drawVwap();
    return reply.status === 200 && reply.stale === null;
  },
);

// --- lists ---------------------------------------------------------------------------------------

let runners: readonly RunnerRow[] = [];
let runnersWhy = "";
/** Rows of a list; a server that has only an empty old one knows nothing. */
const rowsOf =
  <R>(read: (body: unknown) => R[]) =>
  (body: unknown, stale: boolean): readonly R[] | null => {
    const rows = read(body);
    return stale && rows.length === 0 ? null : rows;
  };
const signals = new Perishable<readonly SignalRow[]>(rowsOf(signalRows), LIVE_MS);
const positions = new Perishable<readonly PositionRow[]>(rowsOf(positionRows), LIVE_MS);
const select = (symbol: string): void => go({ symbol });
const lastOf = (symbol: string): number | null => lastPrices.get(symbol) ?? null;

function polled(everyMs: number, path: string, lane: "instant" | "trader" | "model", take: (reply: Reply) => void): void {
  new Poller(
    () => everyMs,
    async () => {
      const reply = await ask(path, lane, { kept: everyMs >= 30_000 });
      take(reply);
      return reply.status === 200 && reply.stale === null;
    },
  ).now();
}

/** As above; what fails leaves what was there. */
function polledBody(everyMs: number, path: string, lane: "instant" | "trader" | "model", take: (body: unknown) => void): void {
  polled(everyMs, path, lane, (reply) => {
    if (reply.status === 200) take(reply.body);
  });
}

new Poller(
  () => 5_000,
  async () => {
    const reply = await ask("/api/watchlist", "trader");
    const well = reply.status === 200;
    if (well) {
      watchlist.set(watchRows(reply.body));
      hasWatchlist = true;
      if (!streaming()) watchlist.takeOwnPrices();
      apply();
      for (const slot of slots) slot.refresh();
    }
    const why = well ? (reply.stale === null ? "" : `old: ${reply.stale}`) : (reply.detail ?? "the server does not answer");
    setText(byId("watch-note"), why);
    show(byId("watch-note"), why !== "");
    return well && reply.stale === null;
  },
).now();

function redraw(): void {
  drawRunners(runners, lastOf, runnersWhy, select);
  drawSignals(signals.view(Date.now()), server.now(), server.offsetMs(), select);
  drawPositions(positions.view(Date.now()), server.offsetMs(), select);
  drawVwap();
}

/** Where to buy a runner, and where its move is over. */
function runnerLevels(symbol: string): Level[] {
  const runner = runners.find((r) => r.symbol === symbol);
  if (runner === undefined) return [];
  const entries = runner.entries.map((e): Level => ({ name: e.words === "" ? "entry" : e.words, price: e.price, kind: "runner" }));
  return runner.stop === null ? entries : [...entries, { name: "runner's stop", price: runner.stop.price, kind: "runner" }];
}

polled(30_000, "/api/runners", "instant", (reply) => {
  if (reply.status === 200) runners = runnerRows(reply.body);
  runnersWhy = reply.status === 200 ? "" : (reply.detail ?? "the server does not answer");
  redraw();
  primary.refresh();
});
polled(5_000, "/api/signals", "trader", (reply) => {
  signals.take(reply, Date.now());
  redraw();
});
polled(5_000, "/api/positions", "trader", (reply) => {
  positions.take(reply, Date.now());
  redraw();
});
polledBody(5_000, "/api/volume-spikes/active", "instant", (body) => watchlist.setSpikes(spikes(body)));
polledBody(10_000, "/api/streaming/rotation", "trader", (body) => drawRotation(rotationRow(body), select));
polledBody(10_000, "/api/streaming/status", "instant", (body) => {
  relay = fields(body)["connected"] === true;
  byId("feed-relay").dataset["detail"] = text(fields(body), "detail") ?? "";
  drawHead();
});
polledBody(60_000, "/api/trade-history", "instant", (body) => {
  trades = readTrades(body);
  for (const slot of slots) slot.refresh();
});
polledBody(60_000, "/api/validate/status", "model", (body) => {
  verdicts.setModel(fields(body)["available"] === true, text(fields(body), "detail"));
});

/** The verdict is offered where there is something to judge. */
function offerVerdict(): void {
  const listed = hasWatchlist ? state.symbol !== null && watchlist.row(state.symbol) !== undefined : null;
  verdicts.offer(noVerdict(state.symbol, listed, primary.supply));
}

// --- keys, address, clock ------------------------------------------------------------------------

for (const timeframe of TIMEFRAMES) {
  const button = make("button", "", timeframe);
  button.type = "button";
  button.value = timeframe;
  button.title = `${timeframe} (${TIMEFRAMES.indexOf(timeframe) + 1})`;
  button.addEventListener("click", () => go({ timeframe }));
  byId("timeframes").append(button);
}

onKeys({
  step: (by) => {
    const symbol = watchlist.next(by);
    if (symbol !== null) go({ symbol }, "replace");
  },
  timeframe: (n) => {
    const timeframe: Timeframe | undefined = TIMEFRAMES[n];
    if (timeframe !== undefined) go({ timeframe });
  },
  enlarge,
  search: () => search.open(),
  type: (letter) => search.open(letter),
  validate: () => void verdicts.run(),
  close: () => verdicts.close(),
  home: () => primary.view.home(primary.candles.length),
  threads: () => location.assign("/threads"),
});

window.addEventListener("popstate", () => {
  state = readState(location.search);
  watchlist.order = state.order;
  apply();
});

setInterval(() => {
  drawHead();
  redraw();
}, 1_000);
setInterval(describe, 10_000);

apply();
stream.start();

/** For tests and the browser's console: what the chart itself holds, by its own API. */
Object.assign(globalThis, {
  tapewarden: {
    toTime,
    slots: () => slots.map((s) => ({ symbol: s.symbol, timeframe: s.timeframe, supply: s.supply, data: s.view.candles.data(), marks: s.view.shownMarks() })),
    feed: () => ({ mode: stream.feed.mode, why: stream.feed.why, relay: stream.feed.relay }),
  },
});
