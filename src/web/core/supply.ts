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
  /** The symbol is known and has not been traded. */
  | { readonly kind: "empty" }
  /** Nobody knows the symbol. */
  | { readonly kind: "unknown"; readonly why: string }
  | { readonly kind: "stale"; readonly sinceMs: number; readonly why: string }
  | { readonly kind: "failed"; readonly why: string };

/** What an answer makes of what was known before. */
export function supplied(before: Supply, answer: Answered, nowMs: number): Supply {
  if (answer.status === 200 && answer.count > 0) {
    return answer.stale === null
      ? { kind: "good" }
      : { kind: "stale", sinceMs: nowMs - answer.ageS * 1000, why: answer.stale };
  }
  const why = answer.detail ?? "the server does not answer";
  if (answer.status === 404 || answer.status === 200) {
    // Candles that were there do not go because a provider says so once.
    if (before.kind === "good" || before.kind === "stale") return before;
    return answer.status === 200 ? { kind: "empty" } : { kind: "unknown", why };
  }
  if (before.kind === "stale") return { ...before, why };
  if (before.kind === "good") return { kind: "stale", sinceMs: nowMs, why };
  return { kind: "failed", why };
}

/** Why a set-up cannot be judged; null where it can. `listed`: whether the watchlist has it, if there is one. */
export function noVerdict(symbol: string | null, listed: boolean | null, supply: Supply): string | null {
  if (symbol === null) return "No symbol is chosen";
  if (supply.kind === "unknown") return `Nobody knows ${symbol}`;
  if (listed === null) return "There is no watchlist yet; only its symbols can be judged";
  if (!listed) return `${symbol} is not in the watchlist; only its symbols can be judged`;
  if (supply.kind === "good" || supply.kind === "stale") return null;
  return `There are no candles of ${symbol} to judge by`;
}

/** A long reason in few words, where it is a known one. `who` failed. */
export function briefly(why: string, who: "provider" | "trader app" = "provider"): string {
  if (/token/i.test(why)) return "no usable access token";
  if (/has failed \d+ times/i.test(why)) return `${who} unreachable`;
  if (/did not answer|timed? ?out|too slow|within/i.test(why)) return `${who} too slow`;
  if (/reach|connect|refused|resolve|server does not answer/i.test(why)) return `${who} unreachable`;
  return why.length > 90 ? `${why.slice(0, 87)}…` : why;
}
