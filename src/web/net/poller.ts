// Something asked again and again: never twice at a time, by a backoff while it fails, resting while the page
// is hidden.

import { Pace } from "../core/backoff";

/** What failed is asked again after this at the latest, however rarely it is asked while it goes well. */
export const FAILING_MAX_MS = 10_000;

export class Poller {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running = false;
  private again = false;
  private readonly pace: Pace;

  constructor(
    everyMs: () => number,
    /** True if it went well. */
    private readonly once: () => Promise<boolean>,
    private readonly options: { readonly evenHidden?: boolean; readonly failingMaxMs?: number } = {},
  ) {
    this.pace = new Pace(everyMs, options.failingMaxMs ?? FAILING_MAX_MS, Math.random);
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
    const begun = performance.now();
    let well = false;
    try {
      well = await this.once();
    } catch (fault) {
      // What could not be drawn may be well the next time; a poll that ended would be missed for good.
      reportError(fault);
    }
    this.running = false;
    const wait = this.pace.next(well, performance.now() - begun);
    this.timer = setTimeout(
      () => {
        if (document.hidden && this.options.evenHidden !== true) return;
        void this.run();
      },
      this.again ? 0 : wait,
    );
  }
}
