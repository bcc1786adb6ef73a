// How the page gets its prices: the stream while it lives, polling while it does not. Events and the
// time go in, what is to be done comes out.

import { Backoff } from "./backoff";

/** A stream without news for this long is not relied on. */
export const SILENT_MS = 60_000;
/** A socket that has not opened in this time will not. */
const OPENING_MS = 10_000;
/** Until the first word of the stream this long is waited before polling begins. */
const PATIENCE_MS = 3_000;

export type Mode = "connecting" | "streaming" | "polling";

export type FeedEvent =
  | { readonly kind: "opened" }
  | { readonly kind: "closed" }
  | { readonly kind: "status"; readonly connected: boolean }
  /** A quote that is newer than the last of its symbol. */
  | { readonly kind: "news" }
  /** A polled quote that is newer than the last polled one of its symbol. */
  | { readonly kind: "polled" }
  | { readonly kind: "tick" };

export type FeedEffect =
  /** Open a socket; there is none. */
  | "connect"
  /** Close the socket; another follows. */
  | "drop"
  /** The stream is relied on again: what was missed must be fetched. */
  | "resync";

export class Feed {
  mode: Mode = "connecting";
  /** Why it is not streaming; empty while it is. */
  why = "connecting";
  /** Whether the server says that its own source is up; null before it said anything. */
  relay: boolean | null = null;
  /** When the newest price came, streamed or polled. */
  pricedAt: number | null = null;

  private socket: "none" | "opening" | "open" = "none";
  private socketSince: number;
  private retryAt: number;
  /** When the stream last brought news. */
  private newsAt: number | null = null;
  private silent = false;
  private relaySince = 0;
  private readonly startedAt: number;
  private readonly backoff: Backoff;

  constructor(now: number, random: () => number) {
    this.startedAt = now;
    this.socketSince = now;
    this.retryAt = now;
    this.backoff = new Backoff(1_000, 10_000, random);
  }

  on(event: FeedEvent, now: number): FeedEffect[] {
    const effects: FeedEffect[] = [];
    switch (event.kind) {
      case "opened":
        this.socket = "open";
        this.socketSince = now;
        break;
      case "closed":
        this.lost(now, "the server's stream is closed");
        break;
      case "status":
        this.relay = event.connected;
        if (!event.connected) {
          this.poll("the trader app's stream is lost");
        } else {
          this.backoff.reset();
          this.relaySince = now;
          if (!this.silent) this.stream(effects);
        }
        break;
      case "news":
        this.newsAt = now;
        this.pricedAt = now;
        this.silent = false;
        if (this.socket === "open" && this.relay !== false) this.stream(effects);
        break;
      case "polled":
        this.pricedAt = now;
        break;
      case "tick":
        this.tick(now, effects);
        break;
    }
    return effects;
  }

  private tick(now: number, effects: FeedEffect[]): void {
    const heard = Math.max(this.newsAt ?? 0, this.relaySince, this.socketSince);
    if (this.socket === "none") {
      if (now >= this.retryAt) {
        this.socket = "opening";
        this.socketSince = now;
        effects.push("connect");
      }
    } else if (this.socket === "opening" && now - this.socketSince > OPENING_MS) {
      effects.push("drop");
      this.lost(now, "the server does not open a stream");
    } else if (this.socket === "open" && this.relay !== false && now - heard > SILENT_MS) {
      // Nobody traded, or a dead connection that looks alive: a new one costs nothing.
      this.silent = true;
      effects.push("drop");
      this.lost(now, "the stream is silent");
    }
    if (this.mode === "connecting" && now - this.startedAt > PATIENCE_MS) this.poll(this.why);
  }

  private stream(effects: FeedEffect[]): void {
    if (this.mode === "polling") effects.push("resync");
    this.mode = "streaming";
    this.why = "";
  }

  private poll(why: string): void {
    this.mode = "polling";
    this.why = why;
  }

  private lost(now: number, why: string): void {
    this.socket = "none";
    this.relay = null;
    this.retryAt = now + this.backoff.next();
    if (this.mode !== "connecting") this.poll(why);
    else this.why = why;
  }
}

/** What the badge says. */
export type Freshness = "LIVE" | "DELAYED" | "STALE" | "WAITING";

const LIVE_MS = 5_000;
const DELAYED_MS = 30_000;

/** By the age of the newest price; polled prices are never better than delayed. */
export function freshness(ageMs: number | null, mode: Mode): Freshness {
  if (ageMs === null) return "WAITING";
  if (ageMs >= DELAYED_MS) return "STALE";
  return ageMs < LIVE_MS && mode === "streaming" ? "LIVE" : "DELAYED";
}

/** Tells a quote that is new from one that the server repeats to a new subscriber. */
export class Novelty {
  private readonly seen = new Map<string, number>();

  isNews(symbol: string, stampMs: number): boolean {
    const before = this.seen.get(symbol);
    if (before !== undefined && stampMs <= before) return false;
    this.seen.set(symbol, stampMs);
    return true;
  }
}
