// Questions to the server. Each has a deadline and a lane, and ends in a reply whatever happens.

import { type Lane, Lanes } from "../core/lanes";
import { fields, text } from "../core/parse";

export interface Reply {
  /** 0 when no answer came. */
  readonly status: number;
  readonly body: unknown;
  /** Why the server gave old data, if it did. */
  readonly stale: string | null;
  readonly ageS: number;
  /** An error's sentence. */
  readonly detail: string | null;
  /** When the server says that it is worth asking again. */
  readonly retryAfterS: number | null;
}

/** The server answers within nine seconds, even with an error; but for a verdict, which has no deadline here. */
const DEADLINE_MS = 12_000;

const lanes = new Lanes();

export async function ask(
  path: string,
  lane: Lane,
  options: { readonly method?: "POST"; readonly deadlineMs?: number | null; readonly asText?: boolean; readonly kept?: boolean; readonly signal?: AbortSignal } = {},
): Promise<Reply> {
  const nothing = { status: 0, body: null, stale: null, ageS: 0, detail: null, retryAfterS: null };
  if (!(await lanes.enter(lane, options.signal))) return nothing;
  const control = new AbortController();
  const cancel = (): void => control.abort();
  if (options.signal?.aborted === true) cancel();
  options.signal?.addEventListener("abort", cancel);
  const deadlineMs = options.deadlineMs === undefined ? DEADLINE_MS : options.deadlineMs;
  const timer = deadlineMs === null ? undefined : setTimeout(cancel, deadlineMs);
  try {
    const answer = await fetch(path, {
      method: options.method ?? "GET",
      signal: control.signal,
      // What is long and rarely changes is held against what the browser has kept.
      cache: options.kept === true ? "no-cache" : "no-store",
      // A browser that was asked for the server's token sends it by itself.
      credentials: "same-origin",
      redirect: "error",
    });
    const raw = await answer.text();
    const body = options.asText === true && answer.ok ? raw : parsed(raw);
    return {
      status: answer.status,
      body,
      stale: answer.headers.get("X-Data-Stale"),
      ageS: Number(answer.headers.get("Age") ?? 0) || 0,
      retryAfterS: Number(answer.headers.get("Retry-After") ?? Number.NaN) || null,
      detail: answer.ok ? null : (text(fields(body), "detail") ?? `the server says ${answer.status}`),
    };
  } catch {
    return nothing;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", cancel);
    lanes.leave(lane);
  }
}

function parsed(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return null;
  }
}

/** A symbol as one segment of a path. */
export function segment(symbol: string): string {
  return encodeURIComponent(symbol);
}
