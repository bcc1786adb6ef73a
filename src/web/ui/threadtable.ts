// The tables of threads and channels, each with what the last two minutes were like.

import { duration } from "../core/format";
import { Rings } from "../core/rings";
import { clicked, type Order, sorted } from "../core/sort";
import { type Channel, CpuShares, folded, type Line, type Look, threadValue } from "../core/threads";
import { byId, make, reconcile, setAttribute, setClass, setText } from "./dom";
import { drawSpark, makeSpark, SPARK_LENGTH } from "./spark";

const COLUMNS = [
  { by: "name", label: "Thread" },
  { by: "class", label: "Class" },
  { by: "state", label: "State" },
  { by: "", label: "Doing" },
  { by: "beat", label: "Beat" },
  { by: "cpu", label: "CPU" },
  { by: "", label: "2 min" },
  { by: "restarts", label: "Restarts" },
] as const;

export class ThreadTable {
  private order: Order = { by: "name", down: false };
  private readonly open = new Set<string>();
  private readonly cpu = new CpuShares();
  private readonly rings = new Rings(SPARK_LENGTH);
  private shares = new Map<string, number>();
  private look: Look | null = null;
  private words = "";
  private readonly body = byId("thread-rows");
  private readonly heads: HTMLTableCellElement[] = [];

  constructor() {
    for (const column of COLUMNS) {
      const cell = make("th");
      cell.scope = "col";
      if (column.by === "") {
        cell.textContent = column.label;
      } else {
        const button = make("button", "sort", column.label);
        button.type = "button";
        button.addEventListener("click", () => {
          this.order = clicked(this.order, column.by, column.by === "name" || column.by === "class");
          this.draw();
        });
        cell.append(button);
      }
      cell.dataset["by"] = column.by;
      this.heads.push(cell);
    }
    byId("thread-head").append(...this.heads);
  }

  set(look: Look, nowMs: number): void {
    this.look = look;
    this.shares = this.cpu.look(look.threads, nowMs);
    this.rings.add(this.shares);
    this.draw();
  }

  /** Only threads with these words are shown. */
  filter(words: string): void {
    this.words = words.trim().toLowerCase();
    this.draw();
  }

  private draw(): void {
    if (this.look === null) return;
    for (const head of this.heads) {
      const isOrder = head.dataset["by"] === this.order.by;
      setAttribute(head, "aria-sort", isOrder ? (this.order.down ? "descending" : "ascending") : null);
    }
    const wanted = this.look.threads.filter(
      (t) => this.words === "" || `${t.name} ${t.class} ${t.state} ${t.activity}`.toLowerCase().includes(this.words),
    );
    const ordered = sorted(wanted, this.order, (t, by) => threadValue(t, by, this.shares.get(t.key)));
    const lines = this.words === "" ? folded(ordered, this.open) : ordered.map((thread): Line => ({ kind: "thread", thread }));
    reconcile(
      this.body,
      lines,
      (l) => (l.kind === "thread" ? l.thread.key : `pool ${l.name}`),
      (l) => this.row(l),
      (node, l) => this.update(node, l),
    );
  }

  private row(line: Line): HTMLTableRowElement {
    const cells = COLUMNS.map(() => make("td"));
    cells[6]?.append(makeSpark());
    const row = make("tr", line.kind, cells);
    if (line.kind === "pool") {
      const button = make("button", "fold");
      button.type = "button";
      button.addEventListener("click", () => {
        if (!this.open.delete(line.name)) this.open.add(line.name);
        this.draw();
      });
      cells[0]?.append(button);
    }
    return row;
  }

  private update(row: HTMLTableRowElement, line: Line): void {
    const threads = line.kind === "thread" ? [line.thread] : line.threads;
    const first = threads[0];
    if (first === undefined) return;
    const put = (i: number, words: string): void => {
      const cell = row.cells[i];
      if (cell !== undefined) setText(cell, words);
    };
    const share = threads.reduce((sum, t) => sum + (this.shares.get(t.key) ?? 0), 0);
    const known = threads.some((t) => t.cpuMs !== null);
    if (line.kind === "thread") {
      put(0, first.name);
      put(2, first.state);
      put(3, first.activity);
      put(4, duration(first.beatAgeMs));
      row.title = `thread ${first.tid}`;
      row.dataset["state"] = first.state;
    } else {
      const busy = threads.filter((t) => t.state === "busy").length;
      const button = row.cells[0]?.firstElementChild;
      if (button) {
        setText(button, `${line.name} × ${threads.length}`);
        setAttribute(button, "aria-expanded", String(line.isOpen));
        setAttribute(button, "title", line.isOpen ? "Show one line for all" : "Show each");
      }
      put(2, "idle");
      put(3, busy === 0 ? "waiting for work" : `waiting for work, ${busy} busy for a moment`);
      put(4, duration(Math.min(...threads.map((t) => t.beatAgeMs))));
      row.dataset["state"] = "idle";
    }
    put(1, first.class);
    put(5, known ? `${share.toFixed(share >= 10 ? 0 : 1)} %` : "–");
    const restarts = threads.reduce((sum, t) => sum + t.restarts, 0);
    put(7, restarts === 0 ? "" : String(restarts));
    const spark = row.cells[6]?.firstElementChild;
    if (spark) drawSpark(spark, this.history(threads.map((t) => t.key)), 100);
  }

  private history(keys: readonly string[]): number[] {
    const sum: number[] = [];
    for (const key of keys) {
      const ring = this.rings.get(key);
      const offset = SPARK_LENGTH - ring.length;
      ring.forEach((value, i) => {
        sum[offset + i] = (sum[offset + i] ?? 0) + value;
      });
    }
    return sum.filter((v) => v !== undefined);
  }
}

export class ChannelTable {
  private readonly rings = new Rings(SPARK_LENGTH);

  set(channels: readonly Channel[]): void {
    this.rings.add(new Map(channels.map((c) => [c.name, c.depth])));
    reconcile(
      byId("channel-rows"),
      channels,
      (c) => c.name,
      () => {
        const cells = Array.from({ length: 5 }, () => make("td"));
        cells[2]?.append(makeSpark());
        return make("tr", "", cells);
      },
      (row, c) => {
        const put = (i: number, words: string): void => {
          const cell = row.cells[i];
          if (cell !== undefined) setText(cell, words);
        };
        put(0, c.name);
        put(1, `${c.depth} / ${c.capacity}`);
        put(3, c.drops === 0 ? "" : String(c.drops));
        put(4, c.whenFull.replace(/^never full: .*/, "never full"));
        row.title = c.whenFull;
        const history = this.rings.get(c.name);
        const spark = row.cells[2]?.firstElementChild;
        if (spark) drawSpark(spark, history, Math.max(4, ...history));
        // Lanes hold connections that wait for work: full is how they should be.
        const isQueue = !c.name.startsWith("lane ");
        setClass(row, "full", isQueue && c.capacity > 0 && c.depth >= c.capacity);
        setClass(row, "used", isQueue && c.depth > 0);
        setClass(row, "dropped", c.drops > 0);
      },
    );
  }
}
