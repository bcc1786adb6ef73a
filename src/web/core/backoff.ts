// How long to wait before the next try: doubling, half more or less by chance, bounded.

export class Backoff {
  private failures = 0;

  constructor(
    private readonly minMs: number,
    private readonly maxMs: number,
    /** From 0 to 1. */
    private readonly random: () => number,
  ) {}

  /** The wait after one more failure. */
  next(): number {
    const plain = Math.min(this.maxMs, this.minMs * 2 ** this.failures);
    this.failures = Math.min(this.failures + 1, 30);
    return Math.min(this.maxMs, plain * (0.5 + this.random()));
  }

  reset(): void {
    this.failures = 0;
  }
}

/** Between a failure and the next question there is at least this much. */
const AGAIN_MIN_MS = 500;

/** When to ask again: as often as wanted while it goes well, by a backoff while it does not. */
export class Pace {
  private readonly backoff: Backoff;

  constructor(
    private readonly everyMs: () => number,
    failingMaxMs: number,
    random: () => number,
  ) {
    this.backoff = new Backoff(1_000, failingMaxMs, random);
  }

  /** The wait after an answer that took so long: who waited for a failure has waited already. */
  next(well: boolean, tookMs: number): number {
    if (!well) return Math.max(AGAIN_MIN_MS, this.backoff.next() - tookMs);
    this.backoff.reset();
    return this.everyMs();
  }
}
