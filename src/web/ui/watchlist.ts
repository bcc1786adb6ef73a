// The watchlist: sortable, live prices, spikes.

import { big, percent, price, score, times } from "../core/format";
import { change, describe, type WatchRow, watchValue } from "../core/rows";
import { clicked, type Order, sorted } from "../core/sort";
import { byId, framed, make, reconcile, setAttribute, setClass, setText, tone } from "./dom";

interface Column {
  readonly by: string;
  readonly label: string;
  readonly title: string;
}

const COLUMNS: readonly Column[] = [
  { by: "symbol", label: "Symbol", title: "Symbol" },
  { by: "last", label: "Last", title: "Last price" },
  { by: "change", label: "Chg", title: "Change over the previous close" },
  { by: "gap", label: "Gap", title: "Gap at the opening over the previous close" },
  { by: "rvol", label: "RVol", title: "Volume relative to a usual day at this time" },
  { by: "float", label: "Float", title: "Shares that can be traded" },
  { by: "catalyst", label: "Catalyst", title: "Why it moves, by strength" },
  { by: "quality", label: "Q", title: "Quality score, 0 to 10" },
];

/** How long a row is lit after a spike was told. */
const FLASH_MS = 1_600;

export class Watchlist {
  rows: readonly WatchRow[] = [];
  private shown: WatchRow[] = [];
  private readonly last = new Map<string, number>();
  private spikes = new Map<string, { ratio: number | null; atMs: number | null }>();
  private readonly flashed = new Map<string, number>();
  private known = new Set<string>();
  private selected: string | null = null;
  private revealed: string | null = null;
  private readonly body = byId("watch-rows");
  private readonly heads: HTMLTableCellElement[];
  private readonly draw = framed(() => this.drawNow());

  constructor(
    public order: Order,
    private readonly previousClose: (symbol: string) => number | null,
    private readonly onSelect: (symbol: string) => void,
    private readonly onOrder: (order: Order) => void,
  ) {
    const head = byId("watch-head");
    this.heads = COLUMNS.map((column) => {
      const button = make("button", "sort", column.label);
      button.type = "button";
      button.title = column.title;
      button.addEventListener("click", () => {
        this.order = clicked(this.order, column.by, column.by === "symbol");
        this.onOrder(this.order);
        this.draw();
      });
      const cell = make("th", "", [button]);
      cell.scope = "col";
      head.append(cell);
      return cell;
    });
    this.body.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest("tr") : null;
      const symbol = row?.dataset["key"];
      if (symbol !== undefined) this.onSelect(symbol);
    });
    this.draw();
  }

  set(rows: readonly WatchRow[]): void {
    this.rows = rows;
    // A watchlist's own price is newer than a quote of before the stream was lost.
    for (const row of rows) if (row.price !== null && !this.last.has(row.symbol)) this.last.set(row.symbol, row.price);
    this.known = new Set(rows.map((r) => r.symbol));
    for (const symbol of this.last.keys()) if (!this.known.has(symbol)) this.last.delete(symbol);
    this.draw();
  }

  /** Prices of the list itself, where no stream brings newer ones. */
  takeOwnPrices(): void {
    for (const row of this.rows) if (row.price !== null) this.last.set(row.symbol, row.price);
    this.draw();
  }

  price(symbol: string, last: number): void {
    if (last <= 0 || this.last.get(symbol) === last || !this.known.has(symbol)) return;
    this.last.set(symbol, last);
    this.draw();
  }

  setSpikes(spikes: typeof this.spikes): void {
    for (const [symbol, spike] of spikes) {
      if (this.spikes.get(symbol)?.atMs !== spike.atMs) this.flashed.set(symbol, performance.now());
    }
    this.spikes = spikes;
    this.draw();
    setTimeout(this.draw, FLASH_MS + 50);
  }

  /** After the close before of some symbol became known. */
  refresh(): void {
    this.draw();
  }

  select(symbol: string | null): void {
    this.selected = symbol;
    this.draw();
  }

  first(): string | null {
    return this.inOrder()[0]?.symbol ?? null;
  }

  /** The symbol so many rows further on; the first one if none is selected. */
  next(step: number): string | null {
    const order = this.inOrder();
    const at = order.findIndex((r) => r.symbol === this.selected);
    const next = at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + step));
    return order[next]?.symbol ?? null;
  }

  symbols(): string[] {
    return this.rows.map((r) => r.symbol);
  }

  row(symbol: string): WatchRow | undefined {
    return this.rows.find((r) => r.symbol === symbol);
  }

  private inOrder(): WatchRow[] {
    return sorted(this.rows, this.order, (row, by) => watchValue(row, by, this.last.get(row.symbol) ?? null, this.previousClose(row.symbol)));
  }

  private drawNow(): void {
    COLUMNS.forEach((column, i) => {
      const head = this.heads[i];
      const way = this.order.down ? "descending" : "ascending";
      if (head !== undefined) setAttribute(head, "aria-sort", column.by === this.order.by ? way : null);
    });
    this.shown = this.inOrder();
    reconcile(
      this.body,
      this.shown,
      (row) => row.symbol,
      (row) => {
        const button = make("button", "symbol", row.symbol);
        button.type = "button";
        // Arrows reach every row; one stop of the tab key for the whole list is enough.
        button.tabIndex = -1;
        const first = make("td", "", [button, make("span", "flag")]);
        return make("tr", "", [first, ...COLUMNS.slice(1).map(() => make("td"))]);
      },
      (node, row) => this.update(node, row),
    );
    byId("watch-empty").hidden = this.rows.length > 0;
    this.reveal();
  }

  /** Scrolls the list, not the page, to a newly selected row; where the user scrolled since is left alone. */
  private reveal(): void {
    if (this.selected === this.revealed) return;
    const row = this.body.querySelector("[aria-current]");
    const list = this.body.closest(".scroll");
    if (row === null || list === null) return;
    this.revealed = this.selected;
    const at = row.getBoundingClientRect();
    // The head of the table stays over the rows.
    const top = this.heads[0]?.getBoundingClientRect().bottom ?? 0;
    const { bottom } = list.getBoundingClientRect();
    if (at.top < top) list.scrollTop -= top - at.top;
    else if (at.bottom > bottom) list.scrollTop += at.bottom - bottom;
  }

  private update(node: HTMLTableRowElement, row: WatchRow): void {
    const last = this.last.get(row.symbol) ?? row.price;
    const moved = change(last, this.previousClose(row.symbol));
    const spike = this.spikes.get(row.symbol);
    const cells = node.cells;
    const put = (i: number, words: string, className = ""): void => {
      const cell = cells[i];
      if (cell === undefined) return;
      setText(cell, words);
      if (cell.className !== className) cell.className = className;
    };
    const flag = cells[0]?.lastElementChild;
    if (flag) {
      setText(flag, spike === undefined ? "" : times(spike.ratio));
      setAttribute(flag, "title", spike === undefined ? null : "volume spike");
    }
    put(1, price(last));
    put(2, percent(moved), tone(moved));
    put(3, percent(row.gap), tone(row.gap));
    put(4, times(row.volumeRatio));
    put(5, big(row.float));
    put(6, row.catalyst ?? "–", row.definitive ? "catalyst definitive" : "catalyst");
    put(7, row.quality === null ? "–" : score(row.quality));
    const title = describe(row);
    setAttribute(node, "title", title === "" ? null : title);
    setAttribute(node, "aria-current", row.symbol === this.selected ? "true" : null);
    const button = cells[0]?.firstElementChild;
    if (button instanceof HTMLButtonElement) {
      const only = row.symbol === this.selected || (this.selected === null && row === this.shown[0]);
      button.tabIndex = only ? 0 : -1;
    }
    setClass(node, "spiking", spike !== undefined);
    const flash = this.flashed.get(row.symbol);
    setClass(node, "flash", flash !== undefined && performance.now() - flash < FLASH_MS);
  }
}
