// What is worse than nothing once it is old: positions, signals, the trader's VWAP. Pure.

import { duration } from "./format";

/** Longer without a fresh answer, and nothing is known. The server gives up after as long. */
export const KEPT_MS = 15_000;

/** An answer, as far as it matters here. */
export interface Told {
  readonly status: number;
  readonly body: unknown;
  /** Why the server gave old data, if it did. */
  readonly stale: string | null;
  readonly ageS: number;
  readonly detail: string | null;
}

export type View<T> =
  | { readonly kind: "waiting" }
  | { readonly kind: "live"; readonly value: T }
  | { readonly kind: "old"; readonly value: T; readonly asOfMs: number; readonly why: string }
  | { readonly kind: "unknown"; readonly why: string };

/** The last value, and since when it is not confirmed. */
export class Perishable<T> {
  private value: T | null = null;
  /** When the value was true. */
  private asOfMs = 0;
  /** Why it is not known to be true now; null while it is. */
  private why: string | null = null;
  private asked = false;

  constructor(
    /** Null where a body has no value; `stale` says that the server made it up from old data. */
    private readonly read: (body: unknown, stale: boolean) => T | null,
    /** How long a value is taken for live after an answer; about two polls. */
    private readonly liveMs: number,
  ) {}

  take(told: Told, nowMs: number): void {
    this.asked = true;
    if (told.status !== 200) {
      this.why = told.detail ?? "the server does not answer";
      return;
    }
    this.why = told.stale;
    this.value = this.read(told.body, told.stale !== null);
    this.asOfMs = nowMs - told.ageS * 1_000;
  }

  forget(): void {
    this.value = null;
    this.asked = false;
    this.why = null;
  }

  view(nowMs: number): View<T> {
    const age = nowMs - this.asOfMs;
    if (!this.asked) return { kind: "waiting" };
    const why = this.why ?? (age > this.liveMs ? `no answer for ${duration(age)}` : null);
    if (why === null) return this.value === null ? { kind: "unknown", why: "" } : { kind: "live", value: this.value };
    if (this.value === null || age > KEPT_MS) return { kind: "unknown", why };
    return { kind: "old", value: this.value, asOfMs: this.asOfMs, why };
  }
}
