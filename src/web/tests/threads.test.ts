import assert from "node:assert/strict";
import { test } from "node:test";

import { brief, layout, type Node, tree } from "../core/flame";
import { differences, groups, matches, plainName, readKept, readReport, standsIn } from "../core/report";
import { polyline, Rings } from "../core/rings";
import { CpuShares, folded, pool, readLook } from "../core/threads";
import { dice } from "./help";

function thread(name: string, state = "idle", more: object = {}): object {
  return { name, tid: Number(/\d+/.exec(name)?.[0] ?? 1), class: "x", state, activity: "waiting for work", beat_age_ms: 5_000, restarts: 0, cpu_ms: 0, ...more };
}

test("idle threads of a pool are one line, what needs a look stands first", () => {
  const look = readLook({
    threads: [thread("candle-cache"), thread("http-1"), thread("http-2"), thread("http-3", "busy", { beat_age_ms: 100 }), thread("http-4", "busy"), thread("http-5", "stalled"), thread("ws-1-out")],
  });
  const line = (l: ReturnType<typeof folded>[number]): string => (l.kind === "pool" ? `${l.name}×${l.threads.length}` : l.thread.name);
  assert.deepEqual(folded(look.threads, new Set()).map(line), ["http-5", "candle-cache", "http×3", "http-4", "ws-1-out"]);
  const opened = ["http-5", "candle-cache", "http×3", "http-1", "http-2", "http-3", "http-4", "ws-1-out"];
  assert.deepEqual(folded(look.threads, new Set(["http"])).map(line), opened);
  assert.deepEqual(["http-12", "ws-3-out", "gate", "candle-fetch-2"].map(pool), ["http", "ws-out", "gate", "candle-fetch"]);
});

test("a CPU share is what was used between two looks", () => {
  const cpu = new CpuShares();
  const look = (ms: number): ReturnType<typeof readLook>["threads"] => readLook({ threads: [thread("a-1", "busy", { cpu_ms: ms })] }).threads;
  assert.equal(cpu.look(look(100), 0).get("a-1/1"), 0);
  assert.equal(cpu.look(look(600), 1_000).get("a-1/1"), 50);
  // The server looks once a second: the same figure again is not yet an idle thread.
  assert.equal(cpu.look(look(600), 1_900).get("a-1/1"), 50);
  assert.equal(cpu.look(look(600), 4_000).get("a-1/1"), 0);
  assert.equal(cpu.look([], 5_000).size, 0);
});

test("rings keep so many values and forget what is gone", () => {
  const rings = new Rings(3);
  for (let i = 0; i < 5; i += 1) rings.add(new Map([["a", i], [`b${i}`, 1]]));
  assert.deepEqual(rings.get("a"), [2, 3, 4]);
  assert.equal(rings.size, 2);
  assert.equal(polyline([0, 100], 3, 10, 12, 100), "5.0,11.0 10.0,1.0");
  assert.equal(polyline([], 3, 10, 12, 0), "");
});

const frame = (name: string, file = "library/x.rs"): object => ({ function: name, file, line: 7 });
const stack = (name: string, state: string, functions: string[]): object => ({
  name,
  tid: Number(/\d+/.exec(name)?.[0] ?? 1),
  said: { state, activity: "deciding", class: "cache" },
  pace: "blocked",
  waits: "futex",
  frames: functions.map((f) => frame(f, f.startsWith("tapewarden") ? "src/x.rs" : "library/x.rs")),
});

test("a report is read, its stalled first, equal stacks together, starts of threads cut", () => {
  const report = readReport({
    reason: "why",
    pid: 7,
    dump: [
      stack("http-1", "idle", ["wait", "tapewarden::http::run", "std::__rust_begin_short_backtrace", "noise"]),
      stack("http-2", "idle", ["wait", "tapewarden::http::run"]),
      stack("cache-3", "stalled", ["lock", "tapewarden::cache::run"]),
      { tid: 9 },
    ],
  });
  assert.deepEqual(groups(report.stacks).map((g) => g.stacks.map((s) => s.name).join()), ["cache-3", "?", "http-1,http-2"]);
  assert.equal(report.stacks[0]?.frames.length, 2);
  assert.deepEqual(report.stacks[2]?.frames.map((f) => f.own), [false, true]);
  assert.ok(matches(report.stacks[2]!, "CACHE::RUN") && !matches(report.stacks[2]!, "http"));
  // Without stacks there is what threads say.
  assert.equal(readReport({ threads: [{ name: "a", tid: 1, state: "busy" }], dump: [], no_stacks: "x" }).stacks[0]?.state, "busy");
  assert.equal(readReport("nonsense").stacks.length, 0);
});

test("what changed between two reports is told by thread", () => {
  const before = readReport({ dump: [stack("a-1", "idle", ["tapewarden::x"]), stack("b-2", "idle", []), stack("c-3", "idle", [])] });
  const after = readReport({ dump: [stack("a-1", "stalled", ["tapewarden::y"]), stack("c-3", "idle", []), stack("d-4", "busy", [])] });
  assert.deepEqual(differences(before, after).map((d) => [d.kind, d.stack.name]), [["moved", "a-1"], ["came", "d-4"], ["went", "b-2"]]);
  assert.deepEqual(differences(after, after), []);
  assert.equal(standsIn(before.stacks[0]!), "idle blocked in tapewarden::x");
  assert.equal(standsIn({ ...before.stacks[0]!, pace: "idle" }), "idle in tapewarden::x");
});

test("a flame graph's boxes fill their parents and never overlap", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const random = dice(seed);
    const names = ["a", "b", "c", "d"];
    const stacks = Array.from({ length: 40 }, (_, i) =>
      stack(`t${Math.floor(random() * 3)}-${i}`, "idle", Array.from({ length: 1 + Math.floor(random() * 6) }, () => names[Math.floor(random() * 4)] ?? "a")),
    );
    const root = tree(readReport({ dump: stacks }).stacks);
    assert.equal(root.count, 40);
    const sum = (node: Node): void => {
      const inner = node.children.reduce((n, c) => n + c.count, 0);
      assert.ok(inner <= node.count);
      node.children.forEach(sum);
    };
    sum(root);
    const deepest = [root.children[0]?.name ?? "", root.children[0]?.children[0]?.name ?? ""];
    for (const focus of [[], deepest.slice(0, 1), deepest]) {
      const boxes = layout(root, focus);
      for (let depth = 0; depth < 9; depth += 1) {
        const row = boxes.filter((b) => b.depth === depth);
        row.forEach((b, i) => {
          const next = row[i + 1];
          assert.ok(b.left >= -1e-9 && b.left + b.width <= 1 + 1e-9, `seed ${seed}`);
          assert.ok(next === undefined || b.left + b.width <= next.left + 1e-9, `seed ${seed}`);
        });
        if (depth <= focus.length) assert.ok(Math.abs((row[0]?.width ?? 0) - (depth === 0 || focus.length > 0 ? 1 : row[0]?.width ?? 0)) < 1e-9);
      }
    }
  }
});

test("names lose what the compiler adds", () => {
  const cases: [string, string][] = [
    ["tapewarden::gate::conn::Conn::serve", "tapewarden::gate::conn::Conn::serve"],
    ["<std::os::unix::net::stream::UnixStream as std::io::Read>::read", "std::os::unix::net::stream::UnixStream::read"],
    ["<&std::os::unix::net::stream::UnixStream as std::io::Read>::read", "std::os::unix::net::stream::UnixStream::read"],
    ["do_call<core::panic::AssertUnwindSafe<tapewarden::x>, ()>", "do_call"],
    ["a::b::{{closure}}", "a::b::{closure}"],
    ["pop<fn(u8) -> u8>::more", "pop::more"],
    ["<alloc::boxed::Box<F, A> as core::ops::FnOnce<Args>>::call_once", "alloc::boxed::Box::call_once"],
  ];
  for (const [name, want] of cases) assert.equal(plainName(name), want);
  assert.equal(brief("tapewarden::cache::thread::run"), "thread::run");
});

test("kept reports are read with their time and verdict", () => {
  const [stall, asked] = readKept([
    { name: "20261125175905-1", verdict: "2026-11-25 17:59:05 [ERROR] [WATCHDOG] VERDICT: candle-cache FROZEN" },
    { name: "x", verdict: "2026-11-25 17:59:05 [INFO] [WATCHDOG] VERDICT: no thread is stalled" },
    {},
  ]);
  assert.deepEqual(stall, { name: "20261125175905-1", time: "2026-11-25 17:59:05", verdict: "candle-cache FROZEN", isStall: true });
  assert.deepEqual([asked?.time, asked?.isStall], ["", false]);
});
