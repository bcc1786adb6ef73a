// Who may ask the server now. A browser opens six connections to a server; without lanes five requests
// that wait for a hung provider would leave none for the question whether the server lives.

/** As the server's own lanes, which have their own places there too. */
export type Lane = "instant" | "market" | "trader" | "model";

/** Together no more than a browser's six. */
const PLACES: Record<Lane, number> = { instant: 2, market: 2, trader: 1, model: 1 };

/** More that wait in one lane are refused: something is stuck. */
const WAITING_MAX = 64;

export class Lanes {
  private readonly taken = new Map<Lane, number>();
  private readonly waiting = new Map<Lane, (() => void)[]>();

  /**
   * Resolves when there is a place; false if too many wait, or when `gone` is aborted before. Whoever got one
   * must leave it.
   */
  async enter(lane: Lane, gone?: AbortSignal): Promise<boolean> {
    if (gone?.aborted === true) return false;
    const taken = this.taken.get(lane) ?? 0;
    if (taken < PLACES[lane]) {
      this.taken.set(lane, taken + 1);
      return true;
    }
    const queue = this.waiting.get(lane) ?? [];
    this.waiting.set(lane, queue);
    if (queue.length >= WAITING_MAX) return false;
    return new Promise<boolean>((done) => {
      const leave = (): void => {
        queue.splice(queue.indexOf(go), 1);
        done(false);
      };
      const go = (): void => {
        gone?.removeEventListener("abort", leave);
        done(true);
      };
      gone?.addEventListener("abort", leave, { once: true });
      queue.push(go);
    });
  }

  leave(lane: Lane): void {
    // The place goes to the one who waits longest.
    const next = this.waiting.get(lane)?.shift();
    if (next !== undefined) next();
    else this.taken.set(lane, Math.max(0, (this.taken.get(lane) ?? 0) - 1));
  }
}
