// Something asked again and again: never twice at a time, slower while it fails, resting while the page
// is hidden.

import { Backoff } from "../core/backoff";

const FAILING_MAX_MS = 30_000;

export class Poller {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running = false;
  private again = false;
  private readonly backoff: Backoff;

  constructor(
    private readonly everyMs: () => number,
    /** True if it went well. */
    private readonly once: () => Promise<boolean>,
    private readonly evenHidden = false,
  ) {
    this.backoff = new Backoff(1_000, FAILING_MAX_MS, Math.random);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.now();
    });
  }

  /** At once; if it runs already, again right after. */
  now(): void {
    if (this.running) {
      this.again = true;
      return;
    }
    void this.run();
  }

  private async run(): Promise<void> {
    clearTimeout(this.timer);
    this.running = true;
    this.again = false;
    let well = false;
    try {
      well = await this.once();
    } catch (fault) {
      // What could not be drawn may be well the next time; a poll that ended would be missed for good.
      reportError(fault);
    }
    this.running = false;
    if (well) this.backoff.reset();
    const wait = this.again ? 0 : Math.max(this.everyMs(), well ? 0 : this.backoff.next());
    this.timer = setTimeout(() => {
      if (document.hidden && !this.evenHidden) return;
      void this.run();
    }, wait);
  }
}
