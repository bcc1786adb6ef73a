import assert from "node:assert/strict";
import { test } from "node:test";

import { CANDLES_MAX, CandleSeries } from "../core/candles";
import { candles as readCandles } from "../core/parse";
import { at, candle, dice, quote } from "./help";

const MINUTE = 60_000;

test("a quote moves the last candle, a later one begins the next", () => {
  const series = new CandleSeries("1m");
  series.replace([candle(at(9, 30), 2)]);
  assert.equal(series.apply(quote(at(9, 30, 10), 2.5, 1_000)), "moved");
  assert.equal(series.apply(quote(at(9, 30, 20), 1.5, 1_300)), "moved");
  assert.deepEqual(series.last, { ms: at(9, 30), open: 2, high: 2.5, low: 1.5, close: 1.5, volume: 400 });
  assert.equal(series.apply(quote(at(9, 32, 1), 1.8, 1_350)), "appended");
  assert.deepEqual(series.last, { ms: at(9, 32), open: 1.8, high: 1.8, low: 1.8, close: 1.8, volume: 50 });
});

test("snapshots before the market and late trades change nothing", () => {
  const series = new CandleSeries("5m");
  series.replace([candle(at(10, 0), 2)]);
  assert.equal(series.apply(quote(0, 2.5, 0)), "none");
  assert.equal(series.apply(quote(at(10, 1), 0, 0)), "none");
  assert.equal(series.apply(quote(at(9, 59), 9, 10)), "none");
  assert.equal(series.last?.high, 2);
});

test("an answer that is a minute old does not undo what the stream brought since", () => {
  const series = new CandleSeries("1m");
  series.replace([candle(at(9, 30), 2)]);
  series.apply(quote(at(9, 30, 30), 3, 10));
  series.apply(quote(at(9, 31, 30), 4, 20));
  series.replace([candle(at(9, 29), 1), candle(at(9, 30), 2, 90)]);
  assert.deepEqual(series.candles.map((c) => [c.ms, c.close]), [[at(9, 29), 1], [at(9, 30), 3], [at(9, 31), 4]]);
  // A newer answer replaces them.
  series.replace([candle(at(9, 30), 2), candle(at(9, 31), 5), candle(at(9, 32), 6)]);
  assert.deepEqual(series.candles.map((c) => c.close), [2, 5, 6]);
});

test("a day's candle moves by regular trades only and takes the day's total", () => {
  const series = new CandleSeries("D");
  const today = Date.UTC(2026, 10, 25, 6);
  series.replace([candle(today - 24 * 60 * MINUTE, 1), candle(today, 2, 5_000)]);
  assert.equal(series.apply(quote(at(8, 0), 9, 100)), "none");
  assert.equal(series.apply(quote(at(15, 0), 3, 9_000)), "moved");
  assert.deepEqual([series.last?.high, series.last?.volume], [3, 9_000]);
  assert.equal(series.apply(quote(at(15, 0) + 24 * 60 * MINUTE, 4, 50)), "appended");
  assert.equal(series.last?.ms, today + 24 * 60 * MINUTE);
});

test("a day's candle begins on its day also after New York's clocks were changed", () => {
  // Fridays before the changes of 2026, whose candles begin at midnight, and the Mondays after.
  for (const [friday, monday] of [
    [Date.UTC(2026, 9, 30, 4), Date.UTC(2026, 10, 2, 5)],
    [Date.UTC(2026, 2, 6, 5), Date.UTC(2026, 2, 9, 4)],
  ] as const) {
    const series = new CandleSeries("D");
    series.replace([candle(friday, 2, 5_000)]);
    assert.equal(series.apply(quote(monday + 12 * 60 * MINUTE, 3, 90)), "appended");
    assert.equal(series.last?.ms, monday);
    assert.equal(series.apply(quote(monday + 13 * 60 * MINUTE, 4, 100)), "moved");
  }
});

test("placeholders of zeros, doubles and disorder in an answer are put right", () => {
  const entry = (timestamp: unknown, close: number): object => ({ timestamp, open: close, high: close, low: close, close, volume: 1 });
  const read = readCandles([entry(120_000, 2), entry(60_000, 1), entry(60_000, 1.5), entry(180_000, 0), entry("x", 3), null, 7]);
  assert.deepEqual(read.map((c) => [c.ms, c.close]), [[60_000, 1.5], [120_000, 2]]);
  assert.deepEqual(readCandles({ detail: "no" }), []);
});

test("whatever comes, candles stand in order, hold their prices and stay bounded", () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = dice(seed);
    const series = new CandleSeries("1m");
    let now = at(4, 0);
    let total = 0;
    for (let step = 0; step < 400; step += 1) {
      now += Math.floor(random() * 200_000);
      total += Math.floor(random() * 50);
      const late = random() < 0.1 ? random() * 600_000 : 0;
      series.apply(quote(now - late, 1 + random(), random() < 0.02 ? 0 : total));
      if (random() < 0.05) {
        const upto = now - Math.floor(random() * 120_000);
        const first = Math.floor(upto / MINUTE) * MINUTE - 30 * MINUTE;
        series.replace(Array.from({ length: 30 }, (_, i) => candle(first + i * MINUTE, 1 + random())));
      }
    }
    series.candles.forEach((c, i) => {
      assert.ok(i === 0 || c.ms > (series.candles[i - 1]?.ms ?? 0), `order, seed ${seed}`);
      assert.ok(c.low <= Math.min(c.open, c.close) && c.high >= Math.max(c.open, c.close), `prices, seed ${seed}`);
      assert.ok(c.volume >= 0 && c.ms % MINUTE === 0);
    });
  }
  const series = new CandleSeries("1m");
  for (let i = 0; i < 3 * CANDLES_MAX; i += 1) {
    series.apply(quote(at(4, 0) + i * MINUTE, 1, i));
    assert.ok(series.candles.length <= CANDLES_MAX);
  }
});
