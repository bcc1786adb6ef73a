// One chart on the screen: candles, volume, lines, levels, marks. Times are shifted so that the axis
// shows New York's.

import {
  CandlestickSeries,
  ColorType,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineSeries,
  LineStyle,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";

import { decimals } from "../core/format";
import { type Row, stretches } from "../core/indicators";
import type { Mark } from "../core/markers";
import { DAY_MS, dayOf, offsetMs } from "../core/newyork";
import type { Candle, Timeframe } from "../core/types";
import { Shading } from "./shading";

const UP = "#3fb68b";
const DOWN = "#e0605e";
const VWAP = "#e2b344";
const FAST = "#7aa7e0";
const SLOW = "#b58be0";

/** Candles that are shown at first. */
const SHOWN = { primary: 170, small: 70 };
const SHOWN_MIN = { primary: 50, small: 30 };

/** A price worth a line across the chart. */
export interface Level {
  readonly name: string;
  readonly price: number;
  readonly kind: "close" | "premarket" | "plan" | "runner";
}

const LEVEL_COLORS = { close: "#8b98a8", premarket: "#6f9ac9", plan: "#c9a86f", runner: "#7f9f7a" };

export function toTime(ms: number, timeframe: Timeframe): UTCTimestamp {
  const shifted = timeframe === "D" ? dayOf(ms) * DAY_MS : ms + offsetMs(ms);
  return (shifted / 1000) as UTCTimestamp;
}

export class ChartView {
  readonly candles: ISeriesApi<"Candlestick">;
  private readonly chart: IChartApi;
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly lines: Record<keyof Row, ISeriesApi<"Line">> | null;
  private readonly marks: ISeriesMarkersPluginApi<Time>;
  private readonly shading = new Shading();
  private levels: { level: Level; line: IPriceLine }[] = [];
  private timeframe: Timeframe = "1m";
  private places = 0;

  constructor(box: HTMLElement, private readonly size: "primary" | "small") {
    const primary = size === "primary";
    this.chart = createChart(box, {
      autoSize: true,
      layout: {
        background: { type: ColorType.Solid, color: "#0d1117" },
        textColor: "#8b98a8",
        fontFamily: "system-ui, sans-serif",
        fontSize: primary ? 11 : 10,
        // Shown in the page's own footer, with the link that its licence asks for.
        attributionLogo: false,
      },
      grid: { vertLines: { color: "#151b24" }, horzLines: { color: "#151b24" } },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.22 } },
      timeScale: {
        borderVisible: false,
        rightOffset: primary ? 6 : 2,
        timeVisible: true,
        secondsVisible: false,
      },
      handleScale: primary,
      handleScroll: primary,
    });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      priceLineVisible: false,
      lastValueVisible: false,
    });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.candles = this.chart.addSeries(CandlestickSeries, {
      upColor: UP,
      wickUpColor: UP,
      downColor: DOWN,
      wickDownColor: DOWN,
      borderVisible: false,
    });
    this.candles.attachPrimitive(this.shading);
    this.marks = createSeriesMarkers<Time>(this.candles, []);
    const line = (color: string): ISeriesApi<"Line"> =>
      this.chart.addSeries(LineSeries, {
        color,
        lineWidth: 1,
        priceLineVisible: false,
        lastValueVisible: false,
        crosshairMarkerVisible: false,
      });
    this.lines = primary ? { vwap: line(VWAP), fast: line(FAST), slow: line(SLOW) } : null;
  }

  /** Everything anew; the view goes to the newest candles if `home`. */
  set(candles: readonly Candle[], rows: readonly Row[], timeframe: Timeframe, home: boolean): void {
    this.timeframe = timeframe;
    this.chart.timeScale().applyOptions({ timeVisible: timeframe !== "D" });
    const last = candles[candles.length - 1];
    if (last !== undefined) this.precision(last.close);
    this.candles.setData(candles.map((c) => this.bar(c)));
    this.volume.setData(candles.map((c) => this.volumeOf(c)));
    if (this.lines !== null) {
      for (const name of ["vwap", "fast", "slow"] as const) {
        this.lines[name].setData(candles.map((c, i) => this.point(c, rows[i], name)));
      }
    }
    this.shading.set(timeframe === "D" ? [] : stretches(candles));
    if (home) this.home(candles.length);
  }

  /** These candles, the first of which may be the last one shown, moved or came. */
  advance(fresh: readonly Candle[], rows: readonly Row[], all: readonly Candle[]): void {
    fresh.forEach((candle, i) => {
      this.candles.update(this.bar(candle));
      this.volume.update(this.volumeOf(candle));
      if (this.lines === null) return;
      for (const name of ["vwap", "fast", "slow"] as const) {
        this.lines[name].update(this.point(candle, rows[i], name));
      }
    });
    if (fresh.length > 1 && this.timeframe !== "D") this.shading.set(stretches(all));
  }

  /** The newest candles into view. */
  home(count: number): void {
    // A few candles are not spread over the whole width, nor pressed into a corner of it.
    const shown = Math.min(SHOWN[this.size], Math.max(count + 2, SHOWN_MIN[this.size]));
    const right = this.size === "primary" ? 6 : 2;
    this.chart.timeScale().setVisibleLogicalRange({ from: count - shown, to: count + right });
  }

  clear(): void {
    this.set([], [], this.timeframe, false);
    this.setLevels([]);
    this.setMarks([]);
  }

  setLevels(levels: readonly Level[]): void {
    const same =
      levels.length === this.levels.length &&
      levels.every((l, i) => l.price === this.levels[i]?.level.price && l.name === this.levels[i]?.level.name);
    if (same) return;
    for (const { line } of this.levels) this.candles.removePriceLine(line);
    this.levels = levels.map((level) => ({
      level,
      line: this.candles.createPriceLine({
        price: level.price,
        color: LEVEL_COLORS[level.kind],
        lineWidth: 1,
        lineStyle: LineStyle.Dashed,
        axisLabelVisible: this.size === "primary",
        title: this.size === "primary" ? level.name : "",
      }),
    }));
  }

  setMarks(marks: readonly Mark[]): void {
    this.marks.setMarkers(
      marks.map((m): SeriesMarker<Time> => {
        const color = m.kind === "entry" ? FAST : m.won ? UP : DOWN;
        return {
          time: toTime(m.ms, this.timeframe),
          position: m.kind === "entry" ? "belowBar" : "aboveBar",
          shape: m.kind === "entry" ? "arrowUp" : "arrowDown",
          color,
          text: m.text,
        };
      }),
    );
  }

  /** Texts of the marks on the chart, in order of time. */
  shownMarks(): string[] {
    return this.marks.markers().map((m) => m.text ?? "");
  }

  /** Calls with the index of the candle below the crosshair; null when it left. */
  onCrosshair(tell: (index: number | null) => void): void {
    this.chart.subscribeCrosshairMove((move) => {
      const { point, logical } = move;
      tell(point === undefined || logical === undefined ? null : Math.round(logical));
    });
  }

  private bar(c: Candle): { time: UTCTimestamp; open: number; high: number; low: number; close: number } {
    return { time: toTime(c.ms, this.timeframe), open: c.open, high: c.high, low: c.low, close: c.close };
  }

  private volumeOf(c: Candle): { time: UTCTimestamp; value: number; color: string } {
    const color = c.close >= c.open ? "rgba(63, 182, 139, 0.35)" : "rgba(224, 96, 94, 0.35)";
    return { time: toTime(c.ms, this.timeframe), value: c.volume, color };
  }

  private point(c: Candle, row: Row | undefined, name: keyof Row): { time: UTCTimestamp; value?: number } {
    const time = toTime(c.ms, this.timeframe);
    const value = row?.[name] ?? null;
    // A day's own VWAP is a point; on a chart of days it means nothing.
    return value === null || (name === "vwap" && this.timeframe === "D") ? { time } : { time, value };
  }

  private precision(price: number): void {
    const places = decimals(price);
    if (places === this.places) return;
    this.places = places;
    const priceFormat = { type: "price" as const, precision: places, minMove: 10 ** -places };
    this.candles.applyOptions({ priceFormat });
    for (const line of Object.values(this.lines ?? {})) line.applyOptions({ priceFormat });
  }
}
