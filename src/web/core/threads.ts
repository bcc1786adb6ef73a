// What `/api/threads` says, and what changed since the time before: CPU shares come from two looks.

import { fields, list, number, text } from "./parse";
import type { Sortable } from "./sort";

export type ThreadState = "idle" | "busy" | "stalled" | "dead";

export interface Thread {
  readonly key: string;
  readonly name: string;
  readonly tid: number;
  readonly class: string;
  readonly state: ThreadState;
  readonly activity: string;
  readonly beatAgeMs: number;
  readonly restarts: number;
  readonly cpuMs: number | null;
}

export interface Channel {
  readonly name: string;
  readonly depth: number;
  readonly capacity: number;
  readonly drops: number;
  readonly whenFull: string;
}

export interface Stall {
  readonly name: string;
  readonly class: string;
  readonly activity: string;
  readonly sinceMs: number;
  /** Null while it lasts. */
  readonly lastedMs: number | null;
}

export interface Look {
  readonly threads: readonly Thread[];
  readonly channels: readonly Channel[];
  readonly stalls: readonly Stall[];
  readonly ailments: readonly string[];
  readonly stallsTotal: number;
  readonly drills: boolean;
  readonly ageMs: number;
}

const STATES: readonly ThreadState[] = ["idle", "busy", "stalled", "dead"];

export function readLook(body: unknown): Look {
  const f = fields(body);
  return {
    threads: list(f["threads"]).map((entry) => {
      const t = fields(entry);
      const name = text(t, "name") ?? "?";
      const tid = number(t, "tid") ?? 0;
      return {
        key: `${name}/${tid}`,
        name,
        tid,
        class: text(t, "class") ?? "",
        state: STATES.find((s) => s === t["state"]) ?? "busy",
        activity: text(t, "activity") ?? "",
        beatAgeMs: number(t, "beat_age_ms") ?? 0,
        restarts: number(t, "restarts") ?? 0,
        cpuMs: number(t, "cpu_ms"),
      };
    }),
    channels: list(f["channels"]).map((entry) => {
      const c = fields(entry);
      return {
        name: text(c, "name") ?? "?",
        depth: number(c, "depth") ?? 0,
        capacity: number(c, "capacity") ?? 0,
        drops: number(c, "drops") ?? 0,
        whenFull: text(c, "when_full") ?? "",
      };
    }),
    stalls: list(f["stalls"]).map((entry) => {
      const s = fields(entry);
      return {
        name: text(s, "name") ?? "?",
        class: text(s, "class") ?? "",
        activity: text(s, "activity") ?? "",
        sinceMs: number(s, "since_ms") ?? 0,
        lastedMs: number(s, "lasted_ms"),
      };
    }),
    ailments: list(f["ailments"]).filter((a): a is string => typeof a === "string"),
    stallsTotal: number(f, "stalls_total") ?? 0,
    drills: f["drills"] === true,
    ageMs: number(f, "age_ms") ?? 0,
  };
}

/** CPU shares in percent of one processor, by thread. */
export class CpuShares {
  private before = new Map<string, { cpuMs: number; atMs: number; share: number }>();

  look(threads: readonly Thread[], nowMs: number): Map<string, number> {
    const shares = new Map<string, number>();
    const next: typeof this.before = new Map();
    for (const thread of threads) {
      if (thread.cpuMs === null) continue;
      const was = this.before.get(thread.key);
      // The server looks once a second: a figure that has not moved yet says nothing for a while.
      if (was !== undefined && thread.cpuMs === was.cpuMs && nowMs - was.atMs < 2_500) {
        next.set(thread.key, was);
        shares.set(thread.key, was.share);
        continue;
      }
      const passed = was === undefined ? 0 : nowMs - was.atMs;
      const share =
        was === undefined || passed <= 0
          ? 0
          : Math.min(100, Math.max(0, ((thread.cpuMs - was.cpuMs) / passed) * 100));
      next.set(thread.key, { cpuMs: thread.cpuMs, atMs: nowMs, share });
      shares.set(thread.key, share);
    }
    this.before = next;
    return shares;
  }
}

/** "http" of "http-12", "ws-N-out" of "ws-3-out"; a name without a number is its own. */
export function pool(name: string): string {
  return name.replace(/-?\d+(?=-|$)/, "");
}

/** A line of the table: one thread, or the idle ones of a pool together. */
export type Line =
  | { readonly kind: "thread"; readonly thread: Thread }
  | { readonly kind: "pool"; readonly name: string; readonly threads: readonly Thread[]; readonly isOpen: boolean };

/** Busy for less long is passing work, not worth a line that comes and goes. */
const PASSING_MS = 1_000;

/** Threads of a pool that need no look are one line, if there are several; below it each, if the pool is open. */
export function folded(threads: readonly Thread[], open: ReadonlySet<string>): Line[] {
  const calm = (t: Thread): boolean => t.state === "idle" || (t.state === "busy" && t.beatAgeMs < PASSING_MS);
  const pools = new Map<string, Thread[]>();
  for (const thread of threads) {
    const name = pool(thread.name);
    if (!calm(thread) || name === thread.name) continue;
    const mates = pools.get(name);
    if (mates === undefined) pools.set(name, [thread]);
    else mates.push(thread);
  }
  const lines: Line[] = [];
  const done = new Set<string>();
  for (const thread of threads) {
    const name = pool(thread.name);
    const mates = pools.get(name);
    if (!calm(thread) || mates === undefined || mates.length < 2) {
      lines.push({ kind: "thread", thread });
    } else if (!done.has(name)) {
      done.add(name);
      const isOpen = open.has(name);
      lines.push({ kind: "pool", name, threads: mates, isOpen });
      if (isOpen) lines.push(...mates.map((mate): Line => ({ kind: "thread", thread: mate })));
    }
  }
  // What needs a look stands first, whatever the order.
  const ill = (l: Line): boolean => l.kind === "thread" && (l.thread.state === "stalled" || l.thread.state === "dead");
  return [...lines.filter(ill), ...lines.filter((l) => !ill(l))];
}

const RANK: Record<ThreadState, number> = { stalled: 0, dead: 1, busy: 2, idle: 3 };

/** A column's value of a thread. */
export function threadValue(thread: Thread, by: string, share: number | undefined): Sortable {
  switch (by) {
    case "class":
      return thread.class;
    case "state":
      return RANK[thread.state];
    case "beat":
      return thread.beatAgeMs;
    case "cpu":
      return share ?? null;
    case "restarts":
      return thread.restarts;
    default:
      return thread.name;
  }
}
