// Validation by the model: the button, the waiting, the verdict.

import { price } from "../core/format";
import { fields, list, number, text } from "../core/parse";
import { ask, segment } from "../net/api";
import type { Level } from "./chartview";
import { announce, byId, make, setText, show } from "./dom";

const WORDS: Record<string, string> = { buy: "BUY", wait: "WAIT", no_trade: "NO TRADE" };

/** Longer than the server takes for any answer. */
const DEADLINE_MS = 15_000;

export class Verdicts {
  private readonly button = byId<HTMLButtonElement>("validate");
  private readonly box = byId("verdict");
  private symbol: string | null = null;
  private running = false;

  constructor(private readonly onPlan: (symbol: string, levels: readonly Level[]) => void) {
    this.button.addEventListener("click", () => void this.run());
    byId("verdict-close").addEventListener("click", () => {
      this.close();
      this.button.focus();
    });
  }

  /** Another symbol is shown: its verdict, if it had one, is gone. */
  select(symbol: string | null): void {
    if (symbol === this.symbol) return;
    this.symbol = symbol;
    show(this.box, false);
    this.button.disabled = symbol === null || this.running;
  }

  async run(): Promise<void> {
    const symbol = this.symbol;
    if (symbol === null || this.running) return;
    this.running = true;
    this.button.disabled = true;
    this.button.setAttribute("aria-busy", "true");
    const begun = performance.now();
    const count = setInterval(() => {
      setText(this.button, `Validating… ${Math.round((performance.now() - begun) / 1000)} s`);
    }, 500);
    const reply = await ask(`/api/validate/${segment(symbol)}`, "model", { method: "POST", deadlineMs: DEADLINE_MS });
    clearInterval(count);
    setText(this.button, "Validate");
    this.button.removeAttribute("aria-busy");
    this.running = false;
    this.button.disabled = this.symbol === null;
    if (symbol !== this.symbol) return;
    if (reply.status === 200) this.show(symbol, reply.body);
    else this.fail(symbol, reply.detail ?? "the server does not answer");
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
    announce(`Verdict on ${symbol}: ${WORDS[signal] ?? signal}`);
    const level = (name: string, value: number | null): Level[] =>
      value === null || value <= 0 ? [] : [{ name, price: value, kind: "plan" }];
    this.onPlan(symbol, [...level("entry", entry), ...level("stop", stop), ...level("target", target)]);
  }

  private fail(symbol: string, why: string): void {
    this.fill(symbol, "failed", "NO VERDICT", "", [why], null);
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
}
