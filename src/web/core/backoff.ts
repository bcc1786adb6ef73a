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
