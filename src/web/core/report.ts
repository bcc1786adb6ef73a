// A stall report's JSON form: who stalls, every thread's stack, the channels, the last log lines.

import { fields, list, number, text } from "./parse";
import { pool } from "./threads";

export interface Frame {
  readonly name: string;
  /** "src/cache/thread.rs:88"; empty where it is not known. */
  readonly place: string;
  readonly own: boolean;
}

export interface Stack {
  readonly name: string;
  readonly tid: number;
  readonly state: string;
  readonly class: string;
  readonly activity: string;
  readonly pace: string;
  readonly waits: string;
  readonly cpuUs: number;
  readonly missing: string;
  /** The innermost first. */
  readonly frames: readonly Frame[];
}

export interface Report {
  readonly reason: string;
  readonly time: string;
  readonly version: string;
  readonly pid: number;
  readonly uptimeS: number;
  readonly noStacks: string;
  readonly stacks: readonly Stack[];
  readonly log: readonly string[];
}

/** As the server marks its own frames in the text form. */
function isOwn(name: string, file: string): boolean {
  return /^<?tapewarden::/.test(name) || (file.startsWith("src/") && file.endsWith(".rs"));
}

export function readReport(body: unknown): Report {
  const f = fields(body);
  const stacks = list(f["dump"]).map(readStack);
  return {
    reason: text(f, "reason") ?? "",
    time: text(f, "time") ?? "",
    version: text(f, "version") ?? "",
    pid: number(f, "pid") ?? 0,
    uptimeS: number(f, "uptime_s") ?? 0,
    noStacks: text(f, "no_stacks") ?? "",
    // Without stacks there is still what threads say of themselves.
    stacks: stacks.length > 0 ? stacks : list(f["threads"]).map((said) => readStack({ said })),
    log: list(f["log"]).filter((l): l is string => typeof l === "string"),
  };
}

function readStack(entry: unknown): Stack {
  const t = fields(entry);
  const said = fields(t["said"]);
  return {
    name: text(t, "name") ?? text(said, "name") ?? "?",
    tid: number(t, "tid") ?? number(said, "tid") ?? 0,
    state: text(said, "state") ?? "",
    class: text(said, "class") ?? "",
    activity: text(said, "activity") ?? (t["is_main"] === true ? "the main thread" : "a library's own thread"),
    pace: text(t, "pace") ?? "",
    waits: text(t, "waits") ?? "",
    cpuUs: number(t, "cpu_us") ?? 0,
    missing: text(t, "missing") ?? "",
    frames: readFrames(t["frames"]),
  };
}

/** Frames outside of these are how every thread starts. */
const START_OF_A_THREAD = ["__rust_begin_short_backtrace", "supervise::spawn::Supervisor::live"];

function readFrames(entry: unknown): Frame[] {
  const frames = list(entry).map((frame) => {
    const f = fields(frame);
    const name = text(f, "function") ?? "?";
    const file = text(f, "file") ?? "";
    const line = number(f, "line") ?? 0;
    return { name, place: file === "" ? "" : `${file}:${line}`, own: isOwn(name, file) };
  });
  const start = frames.findIndex((f) => START_OF_A_THREAD.some((s) => f.name.includes(s)));
  return start < 0 ? frames : frames.slice(0, start);
}

/** A function's name without what the compiler adds: generic arguments, traits, numbers of closures. */
export function plainName(name: string): string {
  // An arrow's point would close a bracket.
  let left = name.replaceAll("->", "→").replace(/\{+(closure|async_block)[^}]*\}+/g, "{closure}");
  const whole = /^<(.*)>(::.*)$/.exec(left);
  if (left.startsWith("<") && whole !== null) {
    const end = closing(left);
    const inner = left.slice(1, end);
    left = outside(inner.split(" as ")[0] ?? inner) + left.slice(end + 1);
  }
  return outside(left).replace(/^&(mut )?/, "");
}

/** Where the bracket that opens at the beginning closes. */
function closing(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === "<") depth += 1;
    else if (text[i] === ">") depth -= 1;
    if (depth === 0) return i;
  }
  return text.length;
}

/** What stands outside of all brackets. */
function outside(text: string): string {
  let depth = 0;
  let kept = "";
  for (const c of text) {
    if (c === "<") depth += 1;
    else if (c === ">") depth = Math.max(0, depth - 1);
    else if (depth === 0) kept += c;
  }
  return kept.replaceAll("::::", "::").replace(/::$/, "");
}

/** Threads of the same state and stack. */
export interface Group {
  readonly stacks: readonly Stack[];
  readonly first: Stack;
}

const RANK: Record<string, number> = { stalled: 0, dead: 1, busy: 2, "": 3, idle: 4 };

/** The stalled first and alone, then the busy, libraries' own, the idle; equal stacks together. */
export function groups(stacks: readonly Stack[]): Group[] {
  const found = new Map<string, Stack[]>();
  stacks.forEach((stack, i) => {
    const frames = stack.frames.map((f) => `${f.name} ${f.place}`).join("\n");
    const alone = stack.state === "stalled" || frames === "";
    const key = alone ? `alone ${i}` : `${stack.state}\n${pool(stack.name)}\n${frames}`;
    found.set(key, [...(found.get(key) ?? []), stack]);
  });
  const rank = (g: Group): number => RANK[g.first.state] ?? 2;
  return [...found.values()]
    .flatMap((list) => (list[0] === undefined ? [] : [{ stacks: list, first: list[0] }]))
    .sort((a, b) => rank(a) - rank(b));
}

/** Whether a thread's own words or any of its frames hold the words searched for. */
export function matches(stack: Stack, words: string): boolean {
  const wanted = words.trim().toLowerCase();
  if (wanted === "") return true;
  const has = (s: string): boolean => s.toLowerCase().includes(wanted);
  return (
    has(stack.name) ||
    has(stack.activity) ||
    has(stack.waits) ||
    has(stack.state) ||
    stack.frames.some((f) => has(f.name) || has(f.place))
  );
}

/** How it does by its own word and by the two looks at it; an idle thread is so by both. */
export function condition(stack: Stack): string {
  return stack.state === stack.pace ? stack.state : `${stack.state} ${stack.pace}`.trim();
}

/** The innermost function of ours, or where the kernel holds the thread. */
export function standsIn(stack: Stack): string {
  const own = stack.frames.find((f) => f.own);
  const at = own === undefined ? stack.waits : plainName(own.name);
  return condition(stack) + (at === "" ? "" : ` in ${at}`);
}

export type Difference =
  | { readonly kind: "came"; readonly stack: Stack; readonly is: string }
  | { readonly kind: "went"; readonly stack: Stack; readonly was: string }
  | { readonly kind: "moved"; readonly stack: Stack; readonly was: string; readonly is: string };

/** What changed from one report to another: threads by name and number that came, went or stand elsewhere. */
export function differences(before: Report, after: Report): Difference[] {
  const key = (s: Stack): string => `${s.name}/${s.tid}`;
  const was = new Map(before.stacks.map((s) => [key(s), s]));
  const is = new Map(after.stacks.map((s) => [key(s), s]));
  const found: Difference[] = [];
  for (const [k, stack] of is) {
    const old = was.get(k);
    if (old === undefined) found.push({ kind: "came", stack, is: standsIn(stack) });
    else if (standsIn(old) !== standsIn(stack)) {
      found.push({ kind: "moved", stack, was: standsIn(old), is: standsIn(stack) });
    }
  }
  for (const [k, stack] of was) if (!is.has(k)) found.push({ kind: "went", stack, was: standsIn(stack) });
  const rank = { moved: 0, came: 1, went: 2 };
  return found.sort((a, b) => rank[a.kind] - rank[b.kind] || a.stack.name.localeCompare(b.stack.name, "en", { numeric: true }));
}

/** A kept report in a list. */
export interface Kept {
  readonly name: string;
  /** "2026-11-25 17:41:07"; empty where the name tells none. */
  readonly time: string;
  readonly verdict: string;
  readonly isStall: boolean;
}

export function readKept(body: unknown): Kept[] {
  return list(body).flatMap((entry) => {
    const f = fields(entry);
    const name = text(f, "name");
    if (name === null) return [];
    const read = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(name);
    const [, y, mo, d, h, mi, s] = read ?? [];
    const line = text(f, "verdict") ?? "";
    const verdict = line.replace(/^.*?VERDICT: /, "");
    return [
      {
        name,
        time: read === null ? "" : `${y}-${mo}-${d} ${h}:${mi}:${s}`,
        verdict,
        isStall: line.includes("[ERROR]"),
      },
    ];
  });
}
