// Whether the server lives and is well, from its answers to `/api/health`.

import { fields, number, text } from "./parse";

export type ServerState =
  | { readonly kind: "unknown" }
  | { readonly kind: "ok" }
  /** It answers and says that something in it is stalled. */
  | { readonly kind: "stalled"; readonly detail: string; readonly sinceMs: number }
  /** It does not answer. */
  | { readonly kind: "silent"; readonly sinceMs: number };

export interface Health {
  readonly version: string;
  readonly uptimeS: number;
  /** The server's session clock less this browser's. */
  readonly clockOffsetMs: number | null;
  readonly tokenRemainingS: number | null;
}

/** Silent needs two misses: one can be this machine's own hiccup. */
const MISSES = 2;

export class ServerWatch {
  state: ServerState = { kind: "unknown" };
  health: Health | null = null;
  private misses = 0;
  private missedSince = 0;

  /** An answer's status (0: none came) and body. Returns what to announce, if the state changed. */
  look(status: number, body: unknown, nowMs: number): string | null {
    const before = this.state;
    if (status === 0) {
      if (this.misses === 0) this.missedSince = nowMs;
      this.misses += 1;
      if (this.misses >= MISSES && before.kind !== "silent") {
        this.state = { kind: "silent", sinceMs: this.missedSince };
        return "The server does not answer";
      }
      return null;
    }
    this.misses = 0;
    const f = fields(body);
    const remaining = number(fields(f["token"]), "remaining_seconds");
    const market = number(f, "market_time_ms");
    if (text(f, "version") !== null) {
      this.health = {
        version: text(f, "version") ?? "",
        uptimeS: number(f, "uptime_seconds") ?? 0,
        clockOffsetMs: market === null ? null : market - nowMs,
        tokenRemainingS: remaining,
      };
    }
    if (status !== 200) {
      const sinceMs = before.kind === "stalled" ? before.sinceMs : nowMs;
      this.state = { kind: "stalled", detail: text(f, "detail") ?? `it says ${status}`, sinceMs };
      return before.kind === "stalled" ? null : "The server is stalled";
    }
    this.state = { kind: "ok" };
    return before.kind === "stalled" || before.kind === "silent" ? "The server is well again" : null;
  }
}
