import assert from "node:assert/strict";
import { test } from "node:test";

import { CandleSeries } from "../core/candles";
import { Indicators, premarketHigh, stretches } from "../core/indicators";
import { at, candle, dice, quote } from "./help";

const MINUTE = 60_000;

test("an EMA begins with the mean of its first closes", () => {
  const candles = Array.from({ length: 10 }, (_, i) => candle(at(9, 30) + i * MINUTE, i + 1));
  const rows = new Indicators().rebuild(candles);
  assert.equal(rows[7]?.fast, null);
  assert.equal(rows[8]?.fast, 5);
  assert.equal(rows[9]?.fast, 5 + (10 - 5) * 0.2);
  assert.equal(rows[9]?.slow, null);
});

test("VWAP weighs by volume and begins anew each day", () => {
  const candles = [candle(at(9, 30), 2, 100), candle(at(9, 31), 4, 300), candle(at(9, 30) + 86_400_000, 9, 10)];
  const rows = new Indicators().rebuild(candles);
  assert.deepEqual(rows.map((r) => r.vwap), [2, 3.5, 9]);
  assert.equal(new Indicators().rebuild([candle(at(9, 30), 2, 0)])[0]?.vwap, null);
});

test("moving on candle by candle gives what computing anew does", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = dice(seed);
    const series = new CandleSeries("1m");
    const live = new Indicators();
    const rows = live.rebuild([]);
    let now = at(4, 0);
    for (let step = 0; step < 300; step += 1) {
      now += random() * 90_000;
      series.apply(quote(now, 1 + random(), step * 10));
      if (random() < 0.5) continue;
      const { from, rows: fresh } = live.advance(series.candles);
      rows.splice(from, rows.length, ...fresh);
    }
    const { from, rows: fresh } = live.advance(series.candles);
    rows.splice(from, rows.length, ...fresh);
    assert.deepEqual(rows, new Indicators().rebuild(series.candles), `seed ${seed}`);
  }
});

test("the pre-market high is the last day's own", () => {
  const day = 86_400_000;
  const candles = [candle(at(8, 0) - day, 99), candle(at(8, 0), 3), candle(at(9, 29), 5), candle(at(9, 30), 7)];
  assert.equal(premarketHigh(candles), 5);
  assert.equal(premarketHigh([candle(at(9, 30), 7)]), null);
  assert.equal(premarketHigh([]), null);
});

test("stretches before and after the regular session are found, each day by itself", () => {
  const times = [at(8, 0), at(9, 29), at(9, 30), at(15, 59), at(16, 0), at(19, 59), at(4, 0) + 86_400_000];
  assert.deepEqual(stretches(times.map((ms) => candle(ms, 1))), [
    { phase: "pre", from: 0, to: 1 },
    { phase: "after", from: 4, to: 5 },
    { phase: "pre", from: 6, to: 6 },
  ]);
  assert.deepEqual(stretches([]), []);
});
