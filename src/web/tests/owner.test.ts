// The page's rows of what a real trader app says: `tests/trader`, whose first entries have every field and whose
// others lack some, have nulls, or have fields that nobody knows.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { readTrades } from "../core/markers";
import { describe, positionRows, rotationRow, runnerRows, signalRows, watchRows } from "../core/rows";

const said = (name: string): string => readFileSync(`tests/trader/${name}`, "utf8");
const body = (name: string): unknown => JSON.parse(said(name));

/** Fields of a row that are unknown. */
const unknown = (row: object): string[] => Object.entries(row).filter(([, value]) => value === null).map(([name]) => name);

test("a watchlist's row has its volume, gap, float, catalyst and quality", () => {
  const [vero, lptx, brk, newx] = watchRows(body("watchlist.json"));
  assert.ok(vero && lptx && brk && newx);
  assert.deepEqual(vero, {
    symbol: "VERO",
    price: 4.87,
    gap: 62.4,
    volumeRatio: 18.73,
    float: 3_812_450,
    quality: 7,
    catalyst: "clinical trial",
    strength: 8,
    definitive: true,
    words: "Phase 2 results above expectations; wait for the first pullback.",
    status: "pulling back",
  });
  assert.equal(describe(vero), "clinical trial 8/10, definitive; pulling back: Phase 2 results above expectations; wait for the first pullback.");
  assert.deepEqual(unknown(lptx), ["quality", "catalyst", "strength", "words", "status"]);
  assert.deepEqual([lptx.gap, lptx.volumeRatio, lptx.float], [-4.7, 2, 21_900_000]);
  assert.deepEqual([brk.quality, brk.catalyst, describe(brk)], [0, null, ""]);
  assert.deepEqual([newx.float, newx.volumeRatio], [null, 6.2]);
});

test("a runner has its status, quality, entries and stop", () => {
  const [vero, holo, lptx] = runnerRows(body("runners.json"));
  assert.ok(vero && holo && lptx);
  assert.deepEqual(unknown(vero), []);
  assert.deepEqual([vero.status, vero.quality, vero.day, vero.gap, vero.catalyst], ["pulling back", 82, 2, 62.4, "clinical trial"]);
  assert.deepEqual(vero.entries, [{ price: 5.62, words: "prior day high" }, { price: 4.79, words: "VWAP support" }]);
  assert.deepEqual(vero.stop, { price: 4.44, words: "Below the first day's last support" });
  assert.deepEqual([holo.status, holo.entries.length, holo.catalyst], ["extended", 0, null]);
  assert.deepEqual([lptx.status, lptx.entries, lptx.stop, lptx.price], [null, [], null, null]);
});

test("a signal has its pattern, entry, stop and target", () => {
  const [vero, lptx, newx] = signalRows(body("signals.json"));
  assert.ok(vero && lptx && newx);
  assert.deepEqual(unknown(vero), []);
  assert.deepEqual([vero.pattern, vero.entry, vero.stop, vero.target, vero.riskReward], ["buy, first pullback", 4.9, 4.65, 5.4, 2]);
  assert.equal(vero.expiresMs, Date.UTC(2026, 2, 10, 14, 4));
  assert.deepEqual([lptx.pattern, lptx.atMs], ["opening range breakout", Date.UTC(2026, 2, 10, 13, 40, 0, 512)]);
  assert.deepEqual([newx.pattern, newx.entry], ["", null]);
});

test("a position has its stop, target and gain", () => {
  const [vero, lptx, newx] = positionRows(body("positions.json"));
  assert.ok(vero && lptx && newx);
  assert.deepEqual(unknown(vero), []);
  assert.deepEqual([vero.shares, vero.entry, vero.stop, vero.target, vero.gain, vero.gainPercent, vero.warning], [200, 4.905, 4.65, 5.4, -7, -0.71, "caution"]);
  assert.deepEqual([lptx.warning, lptx.stop], [null, null]);
  assert.deepEqual([newx.shares, newx.gain], [null, null]);
});

test("trades have both their arrows, promoted symbols their reason", () => {
  const trades = readTrades(said("trade_outcomes.jsonl").trim().split("\n").map((line): unknown => JSON.parse(line)));
  const [won, lost, broken] = trades;
  assert.ok(won && lost && broken);
  assert.deepEqual(won, { symbol: "VERO", entryMs: Date.UTC(2026, 2, 10, 13, 44, 20), entryPrice: 4.9, exitMs: Date.UTC(2026, 2, 10, 13, 58, 30), exitPrice: 5.4, gain: 100 });
  assert.deepEqual([lost.gain, lost.exitMs], [-22.5, Date.UTC(2026, 2, 10, 14, 19, 59, 512)]);
  assert.deepEqual([broken.entryMs, broken.exitPrice, broken.gain], [null, 0.9, null]);
  const rotation = rotationRow(body("rotation.json"));
  assert.deepEqual([rotation.turn, rotation.turns, rotation.promotions], [4, 21, 17]);
  assert.deepEqual(rotation.promoted, [
    { symbol: "VERO", reason: "volume+price range", seconds: 312.4, volume: 88_210, rangePercent: 3.42 },
    { symbol: "HOLO", reason: "tick count", seconds: 41, volume: null, rangePercent: null },
  ]);
});
