import assert from "node:assert/strict";
import { test } from "node:test";

import { Pace } from "../core/backoff";
import { find } from "../core/find";
import { big, duration, percent, price } from "../core/format";
import { type Lane, Lanes } from "../core/lanes";
import { marks, readTrades } from "../core/markers";
import { clock, dayOf, offsetMs, phase } from "../core/newyork";
import { moment, providerQuote, streamQuote, symbol } from "../core/parse";
import { Perishable, type Told } from "../core/perishable";
import { fromHigh, place, positionRows, rotationRow, runnerRows, signalRows, spikes, watchRows, watchValue } from "../core/rows";
import { ServerWatch } from "../core/server";
import { clicked, readOrder, sorted, writeOrder } from "../core/sort";
import { type PageState, readState, smallSymbols, writeState } from "../core/state";
import { briefly, noVerdict, type Supply, supplied } from "../core/supply";
import { ASKED_MAX_MS, pauseMs, setupFacts } from "../core/verdict";
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

test("odd entries of lists are left out, and what is missing or odd is unknown", () => {
  const rows = watchRows([{ symbol: "toyo", gap_percent: "40.5", float: 4e6, odd: {} }, "elpw", { symbol: "TOYO" }, 7, null, { symbol: "<b>" }]);
  assert.deepEqual(rows.map((r) => [r.symbol, r.gap, r.float]), [["TOYO", 40.5, 4e6], ["ELPW", null, null]]);
  assert.equal(watchValue(rows[0]!, "last", 5, null), 5);
  assert.equal(watchValue(rows[0]!, "change", 5, 4), 25);
  assert.equal(watchValue(rows[0]!, "change", 5, null), null);
  for (const nothing of [{}, null, 7, "x", [null, {}, []]]) {
    assert.deepEqual(watchRows(nothing), []);
    assert.deepEqual(runnerRows(nothing), []);
    assert.deepEqual(runnerRows({ active_runners: nothing }), []);
    assert.deepEqual(signalRows(nothing), []);
    assert.deepEqual(positionRows(nothing), []);
    assert.deepEqual(readTrades(nothing), []);
    assert.deepEqual(rotationRow(nothing).promoted, []);
    assert.equal(rotationRow(nothing).enabled, false);
    assert.equal(spikes(nothing).size, 0);
  }
  assert.deepEqual(spikes({ spikes: { A: { spike_ratio: 4.5, received_at: 1795628259.5 } } }).get("A"), { ratio: 4.5, atMs: 1795628259500 });
});

test("a runner's price has its place between the first day's low and the top of its move", () => {
  const [runner] = runnerRows({ active_runners: [{ symbol: "A", day1_high: 10, day1_low: 5, high_of_move: 12, current_price: 8 }] });
  assert.ok(runner);
  assert.equal(place(runner, 5), 0);
  assert.equal(place(runner, 12), 1);
  assert.equal(place(runner, 14), 1);
  assert.equal(place(runner, 8.5), 0.5);
  assert.equal(place(runner, 4), 0);
  assert.equal(place(runner, null), null);
  assert.equal(fromHigh(runner, 9)?.toFixed(6), "-10.000000");
  assert.equal(place({ ...runner, dayOneHigh: null }, 8), null);
});

test("trades are marked in the candles in which they were", () => {
  const candles = Array.from({ length: 5 }, (_, i) => candle(at(9, 30) + i * 60_000, 2));
  const trades = readTrades([
    { symbol: "A", entry: { time: new Date(at(9, 31, 20)).toISOString(), price: 2 }, exit: { time: new Date(at(9, 33, 59)).toISOString() }, outcome: { realized_pnl: 5 } },
    { symbol: "A", entry: { time: new Date(at(9, 0)).toISOString() }, exit: { time: new Date(at(12, 0)).toISOString() } },
    { symbol: "A", entry: null, exit: 7 },
    { no: "symbol" },
  ]);
  assert.deepEqual(marks(trades, candles).map((m) => [m.ms, m.kind, m.text, m.won]), [
    [at(9, 31), "entry", "buy 2.00", false],
    [at(9, 33), "exit", "+5.00", true],
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
  const none = { ...answer, count: 0 };
  const unknown = { ...none, status: 404, detail: "nobody knows TOYO" };
  assert.equal(supplied({ kind: "loading" }, none, 0).kind, "empty");
  assert.deepEqual(supplied({ kind: "loading" }, unknown, 0), { kind: "unknown", why: "nobody knows TOYO" });
  assert.equal(supplied({ kind: "empty" }, unknown, 0).kind, "unknown");
  assert.equal(supplied({ kind: "unknown", why: "" }, none, 0).kind, "empty");
  assert.equal(supplied(good, none, 0).kind, "good");
  assert.equal(supplied(good, unknown, 0).kind, "good");
  for (const status of [0, 500, 502, 503, 504]) assert.equal(supplied({ kind: "loading" }, { ...failed, status }, 0).kind, "failed");
});

test("a verdict is offered where there is something to judge", () => {
  const good: Supply = { kind: "good" };
  assert.equal(noVerdict("TOYO", true, good), null);
  assert.equal(noVerdict("TOYO", true, { kind: "stale", sinceMs: 0, why: "" }), null);
  assert.match(noVerdict("TOYO", false, good) ?? "", /not in the watchlist/);
  assert.match(noVerdict("TOYO", null, good) ?? "", /no watchlist yet/);
  assert.match(noVerdict("TOYO", true, { kind: "unknown", why: "" }) ?? "", /knows TOYO/);
  assert.match(noVerdict(null, true, good) ?? "", /No symbol/);
  for (const supply of [{ kind: "loading" }, { kind: "empty" }, { kind: "failed", why: "" }] as Supply[]) {
    assert.match(noVerdict("TOYO", true, supply) ?? "", /no candles of TOYO/);
  }
});

test("a verdict that is not there yet is asked for again, and not for ever", () => {
  const pending = { status: 200, body: { signal: "wait", pending: true }, retryAfterS: null, tookMs: 9_000, sinceMs: 9_000 };
  assert.equal(pauseMs(pending), 1_000);
  assert.equal(pauseMs({ ...pending, retryAfterS: 4 }), 4_000);
  assert.equal(pauseMs({ ...pending, retryAfterS: 3_600 }), 10_000);
  assert.equal(pauseMs({ ...pending, sinceMs: ASKED_MAX_MS }), null);
  // Too many ask, or something between has cut the answer off.
  assert.equal(pauseMs({ ...pending, status: 503, retryAfterS: 2 }), 2_000);
  assert.equal(pauseMs({ ...pending, status: 0, body: null }), 1_000);
  const last = [{ body: { signal: "wait" } }, { status: 503 }, { status: 400, retryAfterS: 2 }, { status: 0, tookMs: 20 }];
  for (const one of last) assert.equal(pauseMs({ ...pending, ...one }), null);
});

test("what was known of a set-up is told in words, what was not is left out", () => {
  const setup = { symbol: "A", at_ms: 5, price: 4.87, vwap: { price: 4.79123, zone: "in_reach", distance_percent: null }, pillars: { gap: true, score: 4 }, exits: ["macd", "volume"], runner: null, nothing: [] };
  assert.deepEqual(setupFacts({ signal: "buy", setup }), [
    ["price", "4.87"],
    ["vwap price", "4.7912"],
    ["vwap zone", "in reach"],
    ["pillars gap", "yes"],
    ["pillars score", "4"],
    ["exits", "macd, volume"],
  ]);
  for (const nothing of [null, {}, { setup: null }, { setup: [1] }, { setup: "x" }]) assert.deepEqual(setupFacts(nothing), []);
});

test("what failed is asked again within ten seconds, however rarely it is asked otherwise", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const pace = new Pace(() => 120_000, 10_000, dice(seed));
    assert.equal(pace.next(true, 3), 120_000);
    for (let failures = 0; failures < 40; failures += 1) {
      const wait = pace.next(false, 0);
      assert.ok(wait >= 500 && wait <= 10_000, `${wait} after ${failures} failures, seed ${seed}`);
    }
    assert.ok(pace.next(false, 7_000) <= 3_000, "who waited for the failure has waited already");
    assert.equal(pace.next(true, 3), 120_000);
    assert.ok(pace.next(false, 0) <= 1_500, "and begins anew after a success");
  }
});

test("an old position is never shown as live", () => {
  const rows = (body: unknown, stale: boolean): readonly unknown[] | null => {
    const read = Array.isArray(body) ? body : [];
    return stale && read.length === 0 ? null : read;
  };
  const answer = (body: unknown, stale: string | null = null, ageS = 0): Told => ({ status: 200, body, stale, ageS, detail: null });
  const held = new Perishable(rows, 12_500);
  assert.deepEqual(held.view(1_000), { kind: "waiting" });
  held.take(answer([1]), 10_000);
  assert.deepEqual(held.view(22_000), { kind: "live", value: [1] });
  // Nothing is heard any more: old, then unknown.
  assert.deepEqual(held.view(23_000), { kind: "old", value: [1], asOfMs: 10_000, why: "no answer for 13 s" });
  assert.equal(held.view(25_001).kind, "unknown");
  // The server says that it is old, and how old.
  held.take(answer([1], "the trader app cannot be reached", 6), 30_000);
  assert.deepEqual(held.view(30_000), { kind: "old", value: [1], asOfMs: 24_000, why: "the trader app cannot be reached" });
  assert.equal(held.view(39_001).kind, "unknown");
  // Until it says that it knows nothing.
  held.take(answer([], "the trader app cannot be reached", 16), 40_000);
  assert.deepEqual(held.view(40_000), { kind: "unknown", why: "the trader app cannot be reached" });
  held.take(answer([]), 50_000);
  assert.deepEqual(held.view(50_000), { kind: "live", value: [] });
  held.take({ ...answer(null), status: 0 }, 51_000);
  assert.equal(held.view(51_000).kind, "old");
  assert.deepEqual(held.view(66_000), { kind: "unknown", why: "the server does not answer" });
  held.forget();
  assert.equal(held.view(66_000).kind, "waiting");
});

test("long reasons are told briefly", () => {
  assert.equal(briefly("Schwab market data cannot be reached (x); check that it is running"), "provider unreachable");
  assert.equal(briefly("Schwab market data has failed 3 times in a row (last: y); next try in 5 s"), "provider unreachable");
  assert.equal(briefly("Schwab market data did not answer within 10000 ms"), "provider too slow");
  assert.equal(briefly("No valid access token for Schwab market data: x"), "no usable access token");
  assert.equal(briefly("the trader app cannot be reached (x)", "trader app"), "trader app unreachable");
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
  assert.equal(watch.look(503, { detail: "candle-cache" }, 4_000), "The server is stalled");
  assert.equal(watch.look(503, { detail: "candle-cache, longer" }, 5_000), null);
  assert.deepEqual(watch.state, { kind: "stalled", detail: "candle-cache, longer", sinceMs: 4_000 });
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
  // Who is gone waits no longer, and takes nobody's place.
  const [gone, after] = [new AbortController(), lanes.enter("trader")];
  const left = lanes.enter("trader", gone.signal);
  const last = lanes.enter("trader");
  gone.abort();
  assert.equal(await left, false);
  assert.equal(await lanes.enter("trader", gone.signal), false);
  lanes.leave("trader");
  assert.ok(await after);
  lanes.leave("trader");
  assert.ok(await last);
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
  for (const good of ["/ES", "$SPX", "AUD/CAD", "XYZ/WS/A", "GOOGL7240517C00100000", "./ADUF23C0.55", "AMZN  230317C01360000"]) assert.equal(symbol(good), good);
  for (const written of ["amzn 230317c01360000", "AMZN230317C01360000", " AMZN++230317C01360000"]) {
    assert.equal(symbol(written), "AMZN  230317C01360000");
  }
  for (const bad of ["", "A B", "<x>", 7, null, "A".repeat(25), "^VIX", "../x", "A//B"]) assert.equal(symbol(bad), null);
  assert.equal(moment({ a: 1_700_000_000 }, "a"), 1_700_000_000_000);
  assert.equal(moment({ a: 1_700_000_000_000 }, "a"), 1_700_000_000_000);
  assert.equal(moment({ a: "never" }, "a"), null);
  assert.equal(streamQuote({ symbol: "a", last_price: 2 })?.last, 2);
  assert.equal(streamQuote({ symbol: "a", last_price: 2.1, net_change: 0.3 })?.previousClose, 1.8);
  for (const silent of [{ last_price: 2 }, { last_price: 0, net_change: 0 }, { last_price: 2, net_change: null }, { last_price: 2, net_change: 3 }]) {
    assert.equal(streamQuote({ symbol: "a", ...silent })?.previousClose, null);
  }
  assert.equal(providerQuote("A", { lastPrice: 2.1, netChange: 0.3, closePrice: 1.8 }).previousClose, 1.8);
  assert.equal(providerQuote("A", { lastPrice: 2.1, closePrice: 0 }).previousClose, null);
  assert.equal(streamQuote({ last_price: 2 }), null);
});

test("symbols that begin so come first", () => {
  assert.deepEqual(find("toy", ["XTOY", "ABC", "TOYO"], 9), ["TOYO", "XTOY"]);
  assert.equal(find("", ["A", "B", "C"], 2).length, 2);
});
