import assert from "node:assert/strict";
import { test } from "node:test";

import { Feed, type FeedEvent, freshness, Novelty, SILENT_MS } from "../core/feed";
import { dice } from "./help";

const middle = (): number => 0.5;

function streaming(): Feed {
  const feed = new Feed(0, middle);
  assert.deepEqual(feed.on({ kind: "tick" }, 0), ["connect"]);
  feed.on({ kind: "opened" }, 10);
  feed.on({ kind: "status", connected: true }, 20);
  assert.equal(feed.mode, "streaming");
  return feed;
}

test("it polls after three seconds without a stream, and streams once there is one", () => {
  const feed = new Feed(0, middle);
  feed.on({ kind: "tick" }, 0);
  feed.on({ kind: "tick" }, 2_900);
  assert.equal(feed.mode, "connecting");
  feed.on({ kind: "tick" }, 3_100);
  assert.equal(feed.mode, "polling");
  feed.on({ kind: "opened" }, 4_000);
  assert.deepEqual(feed.on({ kind: "status", connected: true }, 4_100), ["resync"]);
  assert.equal(feed.mode, "streaming");
});

test("a lost source means polling until it is back, then what was missed is fetched", () => {
  const feed = streaming();
  assert.deepEqual(feed.on({ kind: "status", connected: false }, 5_000), []);
  assert.deepEqual([feed.mode, feed.relay], ["polling", false]);
  assert.deepEqual(feed.on({ kind: "status", connected: true }, 9_000), ["resync"]);
  assert.equal(feed.mode, "streaming");
});

test("the age of prices is that of the newest, streamed or polled", () => {
  const feed = streaming();
  feed.on({ kind: "news" }, 1_000);
  assert.equal(feed.pricedAt, 1_000);
  feed.on({ kind: "closed" }, 2_000);
  feed.on({ kind: "polled" }, 40_000);
  assert.equal(feed.pricedAt, 40_000);
  // A polled price is no sign of life of the stream.
  feed.on({ kind: "tick" }, 40_000);
  feed.on({ kind: "opened" }, 40_100);
  assert.equal(feed.mode, "polling");
});

test("a closed socket is opened again, later each time", () => {
  const feed = streaming();
  feed.on({ kind: "closed" }, 5_000);
  assert.equal(feed.mode, "polling");
  assert.deepEqual(feed.on({ kind: "tick" }, 5_500), []);
  assert.deepEqual(feed.on({ kind: "tick" }, 6_000), ["connect"]);
  feed.on({ kind: "closed" }, 6_100);
  assert.deepEqual(feed.on({ kind: "tick" }, 7_900), []);
  assert.deepEqual(feed.on({ kind: "tick" }, 8_100), ["connect"]);
});

test("a stream that is silent for a minute is not relied on until there is news", () => {
  const feed = streaming();
  feed.on({ kind: "news" }, 1_000);
  assert.deepEqual(feed.on({ kind: "tick" }, 1_000 + SILENT_MS), []);
  assert.deepEqual(feed.on({ kind: "tick" }, 1_001 + SILENT_MS), ["drop"]);
  assert.deepEqual([feed.mode, feed.why], ["polling", "the stream is silent"]);
  assert.deepEqual(feed.on({ kind: "tick" }, 70_000), ["connect"]);
  feed.on({ kind: "opened" }, 70_100);
  // The server says that all is well, and repeats what is old: nothing new yet.
  assert.deepEqual(feed.on({ kind: "status", connected: true }, 70_200), []);
  assert.equal(feed.mode, "polling");
  assert.deepEqual(feed.on({ kind: "news" }, 71_000), ["resync"]);
  assert.equal(feed.mode, "streaming");
});

test("a socket that never opens is given up", () => {
  const feed = new Feed(0, middle);
  feed.on({ kind: "tick" }, 0);
  assert.deepEqual(feed.on({ kind: "tick" }, 10_001), ["drop"]);
  assert.deepEqual(feed.on({ kind: "tick" }, 12_000), ["connect"]);
});

test("whatever happens, there is one socket at most and streaming needs an open one", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = dice(seed);
    const feed = new Feed(0, random);
    let sockets = 0;
    let open = false;
    let now = 0;
    for (let step = 0; step < 200; step += 1) {
      now += random() * 8_000;
      const events: FeedEvent[] = [{ kind: "tick" }];
      if (sockets === 1 && !open) events.push({ kind: "opened" }, { kind: "closed" });
      if (open) {
        events.push({ kind: "closed" }, { kind: "news" });
        events.push({ kind: "status", connected: random() < 0.6 });
      }
      const event = events[Math.floor(random() * events.length)] ?? { kind: "tick" };
      if (event.kind === "opened") open = true;
      if (event.kind === "closed") [sockets, open] = [0, false];
      for (const effect of feed.on(event, now)) {
        if (effect === "connect") sockets += 1;
        if (effect === "drop") [sockets, open] = [0, false];
        if (effect === "resync") assert.equal(feed.mode, "streaming");
      }
      assert.ok(sockets <= 1, `sockets, seed ${seed}`);
      assert.ok(feed.mode !== "streaming" || open, `streaming without a socket, seed ${seed}`);
      assert.equal(feed.mode === "streaming", feed.why === "", `why, seed ${seed}`);
    }
  }
});

test("live is below five seconds, stale from thirty on, and polled is never live", () => {
  const cases: [number | null, string][] = [[null, "WAITING"], [0, "LIVE"], [4_999, "LIVE"], [5_000, "DELAYED"], [29_999, "DELAYED"], [30_000, "STALE"]];
  for (const [age, want] of cases) assert.equal(freshness(age, "streaming"), want);
  assert.equal(freshness(0, "polling"), "DELAYED");
});

test("what a server repeats to a new subscriber is no news", () => {
  const novelty = new Novelty();
  assert.ok(novelty.isNews("A", 5));
  assert.ok(!novelty.isNews("A", 5));
  assert.ok(!novelty.isNews("A", 4));
  assert.ok(novelty.isNews("B", 4));
  assert.ok(novelty.isNews("A", 6));
});
