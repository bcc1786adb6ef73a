// What is known of one chart's candles: are they there, and how good are they.

/** An answer of `/api/candles`, as far as it matters here. */
export interface Answered {
  /** 0: none came. */
  readonly status: number;
  readonly count: number;
  /** Why the server gave old ones. */
  readonly stale: string | null;
  /** How old they are. */
  readonly ageS: number;
  readonly detail: string | null;
}

export type Supply =
  | { readonly kind: "loading" }
  | { readonly kind: "good" }
  | { readonly kind: "empty" }
  | { readonly kind: "stale"; readonly sinceMs: number; readonly why: string }
  | { readonly kind: "failed"; readonly why: string };

/** What an answer makes of what was known before. */
export function supplied(before: Supply, answer: Answered, nowMs: number): Supply {
  if (answer.status === 200 && answer.count > 0) {
    return answer.stale === null
      ? { kind: "good" }
      : { kind: "stale", sinceMs: nowMs - answer.ageS * 1000, why: answer.stale };
  }
  if (answer.status === 404 || answer.status === 200) {
    // Candles that were there do not go because a provider says so once.
    return before.kind === "good" || before.kind === "stale" ? before : { kind: "empty" };
  }
  const why = answer.detail ?? "the server does not answer";
  if (before.kind === "stale") return { ...before, why };
  if (before.kind === "good") return { kind: "stale", sinceMs: nowMs, why };
  return { kind: "failed", why };
}

/** A long reason in few words, where it is a known one. */
export function briefly(why: string): string {
  if (/token/i.test(why)) return "no usable access token";
  if (/has failed \d+ times/i.test(why)) return "provider unreachable";
  if (/did not answer|timed? ?out|too slow|within/i.test(why)) return "provider too slow";
  if (/reach|connect|refused|resolve|server does not answer/i.test(why)) return "provider unreachable";
  return why.length > 90 ? `${why.slice(0, 87)}…` : why;
}
