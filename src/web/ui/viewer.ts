// One report, opened: stacks folded, a flame graph, the text, what changed since another.

import { tree } from "../core/flame";
import { duration } from "../core/format";
import { condition, differences, type Group, groups, type Kept, matches, plainName, readReport, type Report, type Stack } from "../core/report";
import { ask, segment } from "../net/api";
import { byId, make, setAttribute, setText, show } from "./dom";
import { FlameGraph } from "./flamegraph";

export const VIEWS = ["stacks", "flame", "diff", "log", "text"] as const;
export type View = (typeof VIEWS)[number];

export interface ViewerState {
  /** A kept report's name; "now" for one that was just made. */
  readonly name: string;
  readonly view: View;
  readonly words: string;
  readonly other: string;
}

/** A report of a machine with many threads takes a while to be read from its disk. */
const DEADLINE_MS = 10_000;

export class Viewer {
  private state: ViewerState | null = null;
  private report: Report | null = null;
  private loaded = "";
  private other: Report | null = null;
  private kept: readonly Kept[] = [];
  private readonly flame = new FlameGraph(byId("flame"));
  private readonly search = byId<HTMLInputElement>("report-search");
  private readonly ownOnly = byId<HTMLInputElement>("own-only");
  private readonly otherSelect = byId<HTMLSelectElement>("diff-with");

  constructor(private readonly onState: (state: ViewerState | null) => void) {
    byId("report-close").addEventListener("click", () => this.onState(null));
    this.search.addEventListener("input", () => this.change({ words: this.search.value }));
    this.ownOnly.addEventListener("change", () => this.draw());
    this.otherSelect.addEventListener("change", () => this.change({ other: this.otherSelect.value, view: "diff" }));
    for (const view of VIEWS) {
      byId(`view-${view}`).addEventListener("click", () => this.change({ view }));
    }
    byId("views").addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (step === 0 || this.state === null) return;
      const next = VIEWS[(VIEWS.indexOf(this.state.view) + step + VIEWS.length) % VIEWS.length];
      if (next === undefined) return;
      this.change({ view: next });
      byId(`view-${next}`).focus();
      event.preventDefault();
    });
  }

  setKept(kept: readonly Kept[]): void {
    this.kept = kept;
    this.drawOthers();
  }

  /** A report that was just made and may not lie on the disk. */
  showFresh(body: unknown): void {
    this.report = readReport(body);
    this.loaded = "now";
    this.other = null;
  }

  async show(state: ViewerState | null): Promise<void> {
    const before = this.state;
    this.state = state;
    show(byId("viewer"), state !== null);
    if (state === null) return;
    if (this.search.value !== state.words) this.search.value = state.words;
    if (state.name !== this.loaded) await this.load(state.name);
    if (state.other !== (before?.other ?? "") || (state.other !== "" && this.other === null)) await this.loadOther(state.other);
    if (this.state === state) this.draw();
  }

  private change(to: Partial<ViewerState>): void {
    if (this.state !== null) this.onState({ ...this.state, ...to });
  }

  private async load(name: string): Promise<void> {
    setText(byId("report-verdict"), "reading the report…");
    this.report = null;
    this.loaded = name;
    const reply = await this.fetch(name);
    if (this.loaded !== name) return;
    if (typeof reply === "string") setText(byId("report-verdict"), reply);
    else this.report = reply;
  }

  private async loadOther(name: string): Promise<void> {
    this.other = null;
    if (name === "") return;
    const reply = await this.fetch(name);
    if (this.state?.other === name && typeof reply !== "string") this.other = reply;
  }

  /** A report, or why there is none. */
  private async fetch(name: string): Promise<Report | string> {
    if (name === "now") return "this report was not kept; make another with “Dump now”";
    const reply = await ask(`/api/stalls/${segment(name)}`, "model", { deadlineMs: DEADLINE_MS });
    return reply.status === 200 ? readReport(reply.body) : (reply.detail ?? "the server does not answer");
  }

  private draw(): void {
    const { state, report } = this;
    if (state === null) return;
    for (const view of VIEWS) {
      const tab = byId(`view-${view}`);
      setAttribute(tab, "aria-selected", String(view === state.view));
      tab.tabIndex = view === state.view ? 0 : -1;
      show(byId(`panel-${view}`), view === state.view);
    }
    this.drawOthers();
    for (const form of ["json", "text", "folded"] as const) {
      const link = byId<HTMLAnchorElement>(`download-${form}`);
      show(link, state.name !== "now");
      link.href = `/api/stalls/${segment(state.name)}?format=${form}`;
      link.download = `${state.name}.${form === "text" ? "txt" : form}`;
    }
    if (report === null) return;
    const kept = this.kept.find((k) => k.name === state.name);
    const stalled = report.stacks.filter((s) => s.state === "stalled");
    const verdict =
      kept?.verdict ??
      (stalled.length === 0 ? `no thread is stalled (${report.reason})` : `stalled: ${stalled.map((s) => s.name).join(", ")}`);
    setText(byId("report-verdict"), verdict);
    byId("viewer").dataset["stalled"] = String(stalled.length > 0);
    const facts = [
      report.time,
      report.reason,
      `tapewarden ${report.version}, process ${report.pid}`,
      `up ${duration(report.uptimeS * 1000)}`,
      `${report.stacks.length} threads`,
      report.noStacks,
    ];
    setText(byId("report-facts"), facts.filter((w) => w !== "").join(" · "));
    if (state.view === "stacks") this.drawStacks(report, state.words);
    else if (state.view === "flame") this.drawFlame(report, state.words);
    else if (state.view === "diff") this.drawDiff(report);
    else if (state.view === "log") this.drawLines("report-log", report.log, state.words);
    else void this.drawText(state);
  }

  private drawOthers(): void {
    const options = this.kept
      .filter((k) => k.name !== this.state?.name)
      .map((k) => new Option(`${k.time} ${k.isStall ? k.verdict.slice(0, 60) : "(asked for)"}`, k.name));
    this.otherSelect.replaceChildren(new Option("compare with…", ""), ...options);
    this.otherSelect.value = this.state?.other ?? "";
  }

  private drawStacks(report: Report, words: string): void {
    const wanted = report.stacks.filter((s) => matches(s, words));
    setText(byId("stacks-count"), words.trim() === "" ? "" : `${wanted.length} of ${report.stacks.length} threads`);
    byId("stacks").replaceChildren(...groups(wanted).map((g, i) => this.group(g, words, i)));
  }

  private group(group: Group, words: string, index: number): HTMLElement {
    const { first, stacks } = group;
    const details = make("details", "stack");
    details.dataset["state"] = first.state;
    details.open = first.state === "stalled" || words.trim() !== "" || (index === 0 && first.state !== "idle");
    const names = stacks.map((s) => s.name);
    const alike = names.length > 1 && names.every((n) => n === first.name);
    const shown = alike ? `${first.name} × ${names.length}` : names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
    const head = make("summary", "", [
      make("b", "", shown),
      make("span", "pace", condition(first)),
      make("span", "doing", first.activity),
    ]);
    if (names.length > 4) head.title = names.join(", ");
    const facts = [first.waits === "" ? "" : `in ${first.waits}`, `${first.cpuUs} µs of CPU between two looks`];
    if (first.missing !== "") facts.push(`no stack: ${first.missing}`);
    details.append(head, make("p", "note", facts.filter((f) => f !== "").join(", ")), this.frames(first, words));
    return details;
  }

  private frames(stack: Stack, words: string): HTMLElement {
    const wanted = words.trim().toLowerCase();
    const shown = this.ownOnly.checked ? stack.frames.filter((f) => f.own) : stack.frames;
    const rows = shown.map((f) => {
      const row = make("li", f.own ? "own" : "", [make("code", "", plainName(f.name)), make("span", "place", f.place)]);
      row.title = f.name;
      const hit = wanted !== "" && `${f.name} ${f.place}`.toLowerCase().includes(wanted);
      if (hit) row.classList.add("hit");
      return row;
    });
    const list = make("ol", "frames", rows);
    list.setAttribute("aria-label", "Stack, the innermost function first; own ones are marked");
    return list;
  }

  private drawFlame(report: Report, words: string): void {
    this.flame.set(tree(report.stacks));
    this.flame.search(words);
  }

  private drawDiff(report: Report): void {
    const list = byId("diff");
    if (this.other === null) {
      list.replaceChildren(make("li", "note", "choose another report to compare with"));
      return;
    }
    const found = differences(this.other, report);
    list.replaceChildren(
      ...found.map((d) => {
        const name = make("b", "", `${d.stack.name} (${d.stack.tid})`);
        const was = make("span", "was", d.kind === "came" ? "was not there" : d.was);
        const is = make("span", "is", d.kind === "went" ? "gone" : d.is);
        return make("li", d.kind, [name, was, make("span", "arrow", "→"), is]);
      }),
    );
    if (found.length === 0) list.append(make("li", "note", "no thread came, went or moved"));
  }

  private async drawText(state: ViewerState): Promise<void> {
    if (state.name === "now") {
      this.drawLines("report-text", ["this report was not kept; its text is in logs/watchdog.log"], "");
      return;
    }
    const reply = await ask(`/api/stalls/${segment(state.name)}?format=text`, "model", { deadlineMs: DEADLINE_MS, asText: true });
    if (this.state !== state) return;
    const lines = reply.status === 200 ? String(reply.body).split("\n") : [reply.detail ?? "the server does not answer"];
    this.drawLines("report-text", lines, state.words);
  }

  private drawLines(id: string, lines: readonly string[], words: string): void {
    const wanted = words.trim().toLowerCase();
    const shown = wanted === "" ? lines : lines.filter((l) => l.toLowerCase().includes(wanted));
    setText(byId(id), shown.join("\n"));
  }
}
