import assert from "node:assert/strict";
import { test } from "node:test";

import { find } from "../core/find";
import { big, duration, percent, price } from "../core/format";
import { type Lane, Lanes } from "../core/lanes";
import { marks, readTrades } from "../core/markers";
import { clock, dayOf, offsetMs, phase } from "../core/newyork";
import { moment, streamQuote, symbol } from "../core/parse";
import { positionRows, runnerRows, signalRows, spikes, watchRows, watchValue, zone } from "../core/rows";
import { ServerWatch } from "../core/server";
import { clicked, readOrder, sorted, writeOrder } from "../core/sort";
import { type PageState, readState, smallSymbols, writeState } from "../core/state";
import { briefly, type Supply, supplied } from "../core/supply";
import { at, candle, dice } from "./help";

test("New York's day has its phases, in summer and winter", () => {
  const cases: [number, string][] = [[at(3, 59), "closed"], [at(4, 0), "pre"], [at(9, 30), "regular"], [at(16, 0), "after"], [at(20, 0), "closed"]];
  for (const [ms, want] of cases) assert.equal(phase(ms), want);
  assert.equal(phase(Date.UTC(2026, 6, 6, 13, 30)), "regular", "summer time");
  assert.equal(phase(Date.UTC(2026, 6, 6, 13, 29)), "pre");
  assert.equal(phase(at(12, 0) + 3 * 86_400_000), "closed", "a Saturday");
  assert.equal(clock(at(9, 41, 7)), "09:41:07");
  assert.equal(offsetMs(at(12, 0)), -5 * 3_600_000);
  assert.equal(dayOf(at(23, 59)) + 1, dayOf(at(24, 0)));
});

test("an address reads back as it was written", () => {
  const random = dice(7);
  const names = ["TOYO", "BRK/B", "ELPW", "$SPX", "A", "ZQX/A"];
  for (let i = 0; i < 300; i += 1) {
    const pick = (): string => names[Math.floor(random() * names.length)] ?? "A";
    const state: PageState = {
      symbol: random() < 0.2 ? null : pick(),
      timeframe: (["1m", "5m", "15m", "D"] as const)[Math.floor(random() * 4)] ?? "1m",
      smalls: [...new Set([pick(), pick(), pick()])].slice(0, Math.floor(random() * 4)),
      order: { by: random() < 0.5 ? "quality" : "gap", down: random() < 0.5 },
    };
    assert.deepEqual(readState(writeState(state)), state);
  }
  assert.equal(writeState(readState("")), "");
  assert.deepEqual(readState("?s=%3Cscript%3E&tf=9m&small=,,a b&sort=x"), readState(""));
});

test("small charts are the chosen ones, then the watchlist's first", () => {
  const state = readState("?s=TOYO&small=ZZZ,TOYO");
  assert.deepEqual(smallSymbols(state, ["TOYO", "A", "B", "ZZZ", "C", "D"]), ["ZZZ", "A", "B", "C"]);
  assert.deepEqual(smallSymbols(state, []), ["ZZZ"]);
});

test("the unknown stands last in both directions and equals keep their order", () => {
  const rows = [{ n: "a", v: 1 }, { n: "b", v: null }, { n: "c", v: 3 }, { n: "d", v: 1 }];
  const names = (down: boolean): string => sorted(rows, { by: "v", down }, (r) => r.v).map((r) => r.n).join("");
  assert.equal(names(true), "cadb");
  assert.equal(names(false), "adcb");
  const words = ["http-10", "http-9"].map((n) => ({ n }));
  assert.equal(sorted(words, { by: "n", down: false }, (r) => r.n)[0]?.n, "http-9");
  assert.deepEqual(clicked({ by: "gap", down: true }, "gap", false), { by: "gap", down: false });
  assert.deepEqual(clicked({ by: "gap", down: true }, "symbol", true), { by: "symbol", down: false });
  assert.deepEqual(readOrder(writeOrder({ by: "rvol", down: false }), { by: "x", down: true }), { by: "rvol", down: false });
});

test("rows are read from what upstreams send, odd entries left out", () => {
  const rows = watchRows([{ symbol: "toyo", gap_percent: "40.5", float_shares: 4e6, odd: {} }, "elpw", { symbol: "TOYO" }, 7, null, { symbol: "<b>" }]);
  assert.deepEqual(rows.map((r) => [r.symbol, r.gap, r.float]), [["TOYO", 40.5, 4e6], ["ELPW", null, null]]);
  assert.equal(watchValue(rows[0]!, "last", 5), 5);
  assert.deepEqual(watchRows({}), []);
  assert.equal(runnerRows({ active_runners: [{ symbol: "A", gain_percent: 12, zone: "entry" }, {}] })[0]?.told, "entry");
  assert.deepEqual(runnerRows(null), []);
  const [signal] = signalRows([{ symbol: "A", type: "buy", setup: "gap_and_go", timestamp: "2026-11-25T17:37:15Z" }]);
  assert.deepEqual([signal?.what, signal?.atMs], ["buy gap and go", Date.UTC(2026, 10, 25, 17, 37, 15)]);
  assert.equal(positionRows([{ symbol: "A", qty: 5 }])[0]?.shares, 5);
  assert.deepEqual(spikes({ spikes: { A: { spike_ratio: 4.5, received_at: 1795628259.5 } } }).get("A"), { ratio: 4.5, atMs: 1795628259500 });
  assert.equal(spikes("x").size, 0);
});

test("a runner's zone tells where its price stands", () => {
  assert.equal(zone(9.8, 5, 10, 4).zone, "breakout");
  assert.equal(zone(11, 5, 10, 4).zone, "breakout");
  assert.equal(zone(8, 5, 10, 4).zone, "upper");
  assert.equal(zone(6, 5, 10, 4).zone, "lower");
  assert.equal(zone(6, 5, 10, 7).zone, "faded");
  assert.equal(zone(5, 5, 5, null).zone, "breakout");
});

test("trades are marked in the candles in which they were", () => {
  const candles = Array.from({ length: 5 }, (_, i) => candle(at(9, 30) + i * 60_000, 2));
  const trades = readTrades([
    { symbol: "A", entry_time_ms: at(9, 31, 20), exit_time: new Date(at(9, 33, 59)).toISOString(), pnl: 5 },
    { symbol: "A", side: "short", entry_time_ms: at(9, 0), exit_time_ms: at(12, 0) },
    { no: "symbol" },
  ]);
  assert.deepEqual(marks(trades, candles).map((m) => [m.ms, m.kind, m.buys, m.text]), [
    [at(9, 31), "entry", true, "buy"],
    [at(9, 33), "exit", false, "+5.00"],
  ]);
  assert.deepEqual(marks(trades, []), []);
});

test("what is known of candles follows from the answers", () => {
  const answer = { status: 200, count: 5, stale: null, ageS: 0, detail: null };
  const good = supplied({ kind: "loading" }, answer, 9_000);
  assert.equal(good.kind, "good");
  const failed = { ...answer, status: 502, count: 0, detail: "Schwab market data cannot be reached (refused)" };
  const stale = supplied(good, failed, 9_000);
  assert.deepEqual(stale, { kind: "stale", sinceMs: 9_000, why: failed.detail });
  assert.deepEqual(supplied(stale, { ...failed, status: 0, detail: null }, 20_000), { ...stale, why: "the server does not answer" });
  assert.deepEqual(supplied(good, { ...answer, stale: "x", ageS: 7 }, 9_000), { kind: "stale", sinceMs: 2_000, why: "x" });
  const none = { ...answer, status: 404, count: 0 };
  assert.equal(supplied({ kind: "loading" }, none, 0).kind, "empty");
  assert.equal(supplied(good, none, 0).kind, "good");
  assert.equal(supplied({ kind: "loading" }, failed, 0).kind, "failed");
  const kinds: Supply["kind"][] = ["loading", "good", "empty", "stale", "failed"];
  assert.equal(kinds.length, 5);
});

test("long reasons are told briefly", () => {
  assert.equal(briefly("Schwab market data cannot be reached (x); check that it is running"), "provider unreachable");
  assert.equal(briefly("Schwab market data has failed 3 times in a row (last: y); next try in 5 s"), "provider unreachable");
  assert.equal(briefly("Schwab market data did not answer within 10000 ms"), "provider too slow");
  assert.equal(briefly("No valid access token for Schwab market data: x"), "no usable access token");
  assert.equal(briefly("something else"), "something else");
});

test("a server is silent after two misses and told as well again once", () => {
  const watch = new ServerWatch();
  const well = { status: "ok", version: "1", uptime_seconds: 5, market_time_ms: 2_000, token: { remaining_seconds: 60 } };
  assert.equal(watch.look(200, well, 1_000), null);
  assert.deepEqual([watch.health?.clockOffsetMs, watch.health?.tokenRemainingS], [1_000, 60]);
  assert.equal(watch.look(0, null, 2_000), null);
  assert.equal(watch.look(0, null, 3_000), "The server does not answer");
  assert.deepEqual(watch.state, { kind: "silent", sinceMs: 2_000 });
  assert.equal(watch.look(503, { detail: "candle-desk" }, 4_000), "The server is stalled");
  assert.equal(watch.look(503, { detail: "candle-desk, longer" }, 5_000), null);
  assert.deepEqual(watch.state, { kind: "stalled", detail: "candle-desk, longer", sinceMs: 4_000 });
  assert.equal(watch.look(200, well, 6_000), "The server is well again");
  assert.equal(watch.look(200, well, 7_000), null);
});

test("a lane has so many places, the longest waiting is next, and all are no more than six", async () => {
  const lanes = new Lanes();
  const order: number[] = [];
  await lanes.enter("trader");
  const second = lanes.enter("trader").then(() => order.push(2));
  const third = lanes.enter("trader").then(() => order.push(3));
  await Promise.resolve();
  assert.deepEqual(order, []);
  lanes.leave("trader");
  await second;
  assert.deepEqual(order, [2]);
  lanes.leave("trader");
  await third;
  lanes.leave("trader");
  assert.ok(await lanes.enter("trader"));
  const fresh = new Lanes();
  let places = 0;
  for (const lane of ["instant", "market", "trader", "model"] as Lane[]) {
    for (let i = 0; i < 8; i += 1) void fresh.enter(lane).then(() => (places += 1));
  }
  await new Promise((r) => setTimeout(r, 5));
  assert.equal(places, 6);
});

test("numbers read as traders read them", () => {
  assert.deepEqual([price(5.2), price(0.1234), price(null)], ["5.20", "0.1234", "–"]);
  assert.deepEqual([percent(12.34), percent(-5), percent(151)], ["+12.3%", "-5.0%", "+151%"]);
  assert.deepEqual([big(4_100_000), big(999), big(12_345)], ["4.1M", "999", "12.3K"]);
  assert.deepEqual([duration(400), duration(65_000), duration(1_620_000), duration(11_100_000)], ["0.4 s", "65 s", "27 min", "3 h 05"]);
});

test("symbols, moments and stream messages are read and nonsense is not", () => {
  assert.equal(symbol(" brk/b "), "BRK/B");
  for (const bad of ["", "A B", "<x>", 7, null, "A".repeat(17)]) assert.equal(symbol(bad), null);
  assert.equal(moment({ a: 1_700_000_000 }, "a"), 1_700_000_000_000);
  assert.equal(moment({ a: 1_700_000_000_000 }, "a"), 1_700_000_000_000);
  assert.equal(moment({ a: "never" }, "a"), null);
  assert.equal(streamQuote({ symbol: "a", last_price: 2 })?.last, 2);
  assert.equal(streamQuote({ last_price: 2 }), null);
});

test("symbols that begin so come first, names last", () => {
  const among = [{ symbol: "XTOY", name: null }, { symbol: "ABC", name: "Toyon" }, { symbol: "TOYO", name: null }];
  assert.deepEqual(find("toy", among, 9).map((c) => c.symbol), ["TOYO", "XTOY", "ABC"]);
  assert.equal(find("", among, 2).length, 2);
});
