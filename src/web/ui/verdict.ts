// Validation by the model: the button, the waiting, the verdict.

import { price } from "../core/format";
import { fields, list, number, text } from "../core/parse";
import { pauseMs, setupFacts } from "../core/verdict";
import { ask, type Reply, segment } from "../net/api";
import type { Level } from "./chartview";
import { announce, byId, make, setAttribute, setText, show } from "./dom";

const WORDS: Record<string, string> = { buy: "BUY", wait: "WAIT", no_trade: "NO TRADE" };

export class Verdicts {
  private readonly button = byId<HTMLButtonElement>("validate");
  private readonly box = byId("verdict");
  private symbol: string | null = null;
  /** Why the symbol cannot be judged. */
  private why: string | null = "No symbol is chosen";
  private model = "";
  /** Ends the question that is under way. */
  private running: AbortController | null = null;

  constructor(private readonly onPlan: (symbol: string, levels: readonly Level[]) => void) {
    this.button.addEventListener("click", () => void this.run());
    byId("verdict-close").addEventListener("click", () => {
      this.close();
      this.button.focus();
    });
  }

  /** Another symbol is shown: its verdict, if it had one, is gone, and nobody waits for another. */
  select(symbol: string | null): void {
    if (symbol === this.symbol) return;
    this.symbol = symbol;
    show(this.box, false);
    // The server keeps a verdict that comes later for who asks next.
    this.running?.abort();
  }

  /** Why a verdict on the symbol cannot be had; null where it can. */
  offer(why: string | null): void {
    this.why = why;
    this.drawButton();
  }

  /** Whether the model that is to judge is there, and why not. */
  setModel(available: boolean, why: string | null): void {
    this.model = available ? "" : (why ?? "the model is not there");
    const note = byId("model-note");
    setText(note, this.model);
    setAttribute(note, "title", this.model);
    show(note, this.model !== "");
    this.drawButton();
  }

  private drawButton(): void {
    this.button.disabled = this.why !== null || this.running !== null;
    const ask = this.model === "" ? "Ask the model about this set-up (v)" : `The verdict will be to wait: ${this.model}`;
    this.button.title = this.why ?? ask;
  }

  async run(): Promise<void> {
    const symbol = this.symbol;
    if (symbol === null || this.why !== null || this.running !== null) return;
    const control = new AbortController();
    this.running = control;
    this.drawButton();
    this.button.setAttribute("aria-busy", "true");
    const begun = performance.now();
    const tell = (): void => setText(this.button, `Validating… ${Math.round((performance.now() - begun) / 1000)} s`);
    tell();
    const count = setInterval(tell, 500);
    const reply = await this.ask(symbol, control.signal);
    clearInterval(count);
    setText(this.button, "Validate");
    this.button.removeAttribute("aria-busy");
    this.running = null;
    this.drawButton();
    if (control.signal.aborted) return;
    if (reply.status === 200) this.show(symbol, reply.body);
    else this.fail(symbol, reply.detail ?? "the server does not answer");
  }

  /** A model may take a minute, and the server says itself when it gives up. */
  private async ask(symbol: string, signal: AbortSignal): Promise<Reply> {
    const first = performance.now();
    for (;;) {
      const begun = performance.now();
      const reply = await ask(`/api/validate/${segment(symbol)}`, "model", { method: "POST", deadlineMs: null, signal });
      const now = performance.now();
      const pause = signal.aborted ? null : pauseMs({ ...reply, tookMs: now - begun, sinceMs: now - first });
      if (pause === null) return reply;
      await new Promise((done) => setTimeout(done, pause));
      if (signal.aborted) return reply;
    }
  }

  close(): void {
    show(this.box, false);
    if (this.symbol !== null) this.onPlan(this.symbol, []);
  }

  private show(symbol: string, body: unknown): void {
    const f = fields(body);
    const signal = text(f, "signal") ?? "wait";
    const [entry, stop, target] = [number(f, "entry_price"), number(f, "stop_price"), number(f, "target_price")];
    const confidence = number(f, "confidence");
    const ratio = number(f, "risk_reward_ratio");
    const facts = [
      entry === null ? "" : `entry ${price(entry)}`,
      stop === null ? "" : `stop ${price(stop)}`,
      target === null ? "" : `target ${price(target)}`,
      ratio === null || ratio <= 0 ? "" : `R:R ${ratio.toFixed(1)}`,
      confidence === null ? "" : `confidence ${confidence.toFixed(0)} %`,
      f["cached"] === true ? "from the last minute" : "",
    ].filter((w) => w !== "");
    const reasons = list(f["reasoning"]).filter((r): r is string => typeof r === "string");
    const concern = text(f, "key_concern");
    this.fill(symbol, signal, WORDS[signal] ?? signal, facts.join(", "), reasons, concern);
    this.fillSetup(body);
    announce(`Verdict on ${symbol}: ${WORDS[signal] ?? signal}`);
    const level = (name: string, value: number | null): Level[] =>
      value === null || value <= 0 ? [] : [{ name, price: value, kind: "plan" }];
    this.onPlan(symbol, [...level("entry", entry), ...level("stop", stop), ...level("target", target)]);
  }

  private fail(symbol: string, why: string): void {
    this.fill(symbol, "failed", "NO VERDICT", "", [why], null);
    this.fillSetup(null);
    announce(`No verdict on ${symbol}: ${why}`);
  }

  private fill(
    symbol: string,
    signal: string,
    word: string,
    facts: string,
    reasons: readonly string[],
    concern: string | null,
  ): void {
    this.box.dataset["signal"] = signal;
    setText(byId("verdict-word"), `${symbol}: ${word}`);
    setText(byId("verdict-facts"), facts);
    byId("verdict-reasons").replaceChildren(...reasons.map((r) => make("li", "", r)));
    setText(byId("verdict-concern"), concern === null ? "" : `Concern: ${concern}`);
    show(this.box, true);
  }

  private fillSetup(body: unknown): void {
    const facts = setupFacts(body);
    show(byId("verdict-setup"), facts.length > 0);
    byId("verdict-known").replaceChildren(...facts.map(([name, words]) => make("div", "", [make("dt", "", name), make("dd", "", words)])));
  }
}
