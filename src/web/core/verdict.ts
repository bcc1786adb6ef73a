// When a verdict that is not there yet is asked for again. Pure.

import { fields } from "./parse";

/** The server keeps a verdict for so long; who asked for longer asks for nothing. */
export const ASKED_MAX_MS = 300_000;
const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 10_000;

/** The pause before the next question; null where the answer is the last word. */
export function pauseMs(
  reply: { readonly status: number; readonly body: unknown; readonly retryAfterS: number | null },
  askedMs: number,
): number | null {
  const pending = reply.status === 200 && fields(reply.body)["pending"] === true;
  if (!pending || askedMs >= ASKED_MAX_MS) return null;
  return Math.min(PAUSE_MAX_MS, Math.max(PAUSE_MIN_MS, (reply.retryAfterS ?? 0) * 1_000));
}
