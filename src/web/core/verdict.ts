// When a verdict that is not there yet is asked for again, and what was known when it was asked. Pure.

import { score } from "./format";
import { fields, list } from "./parse";

/** The server keeps a verdict for so long; who asked for longer asks for nothing. */
export const ASKED_MAX_MS = 300_000;
const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 10_000;
/** An answer that does not come although the question took so long was cut off on its way. */
const CUT_OFF_MS = 5_000;

/** How a question for a verdict ended. */
export interface Asked {
  /** 0: no answer came. */
  readonly status: number;
  readonly body: unknown;
  readonly retryAfterS: number | null;
  /** How long this question took. */
  readonly tookMs: number;
  /** How long since the first one. */
  readonly sinceMs: number;
}

/** The pause before the next question; null where the answer is the last word. */
export function pauseMs(asked: Asked): number | null {
  const { status, retryAfterS } = asked;
  const pending = status === 200 && fields(asked.body)["pending"] === true;
  const later = (status === 503 || status === 504) && retryAfterS !== null;
  const cutOff = status === 0 && asked.tookMs >= CUT_OFF_MS;
  if (!(pending || later || cutOff) || asked.sinceMs >= ASKED_MAX_MS) return null;
  return Math.min(PAUSE_MAX_MS, Math.max(PAUSE_MIN_MS, (retryAfterS ?? 0) * 1_000));
}

/** Deeper than this nothing is told. */
const DEPTH_MAX = 3;

/** What was known of the set-up, as names and words: ["vwap zone", "red"]. What was not known is left out. */
export function setupFacts(body: unknown): [string, string][] {
  const found: [string, string][] = [];
  const tell = (name: string, value: unknown, depth: number): void => {
    const words = said(value);
    if (words !== null) found.push([name, words]);
    else if (depth < DEPTH_MAX) {
      for (const [inner, one] of Object.entries(fields(value))) {
        tell(`${name} ${inner.replaceAll("_", " ")}`.trim(), one, depth + 1);
      }
    }
  };
  tell("", fields(fields(body)["setup"]), 0);
  return found.filter(([name]) => name !== "symbol" && !name.endsWith(" ms"));
}

/** A plain value in words; null for what is none. */
function said(value: unknown): string | null {
  if (typeof value === "number") return Number.isFinite(value) ? score(value, 4) : null;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string" && value !== "") return value.replaceAll("_", " ");
  const words = list(value).map(said);
  return words.length > 0 && words.every((w) => w !== null) ? words.join(", ") : null;
}
