// From what the API says to what the page needs. Whatever is missing or odd becomes null or is left
// out: upstreams add and drop fields as they like. Names are those of the shapes, so that a name that no
// shape has does not compile.

import type { StreamQuote } from "./shapes";
import type { Candle, Quote } from "./types";

/** What should be a `T` and may be anything: T's names, whatever their values are. */
export type Said<T> = { readonly [Name in keyof T]?: unknown };

export type Fields = Said<Record<string, unknown>>;

/** An object's fields; none of anything else. */
export function fields<T = Record<string, unknown>>(value: unknown): Said<T> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Said<T>) : {};
}

/** The elements of an array; none of anything else. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A field that is a finite number, or text that reads as one. */
export function number<F extends object>(from: F, name: keyof F): number | null {
  const value: unknown = from[name];
  const read = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof read === "number" && Number.isFinite(read) ? read : null;
}

/** A field that is text and not empty. */
export function text<F extends object>(from: F, name: keyof F): string | null {
  const value: unknown = from[name];
  return typeof value === "string" && value !== "" ? value : null;
}

/** A field that is a moment, in milliseconds: a number (seconds or milliseconds) or an ISO time. */
export function moment<F extends object>(from: F, name: keyof F): number | null {
  const value: unknown = from[name];
  if (typeof value === "number" && value > 0) return value < 1e11 ? value * 1000 : value;
  const read = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isFinite(read) ? read : null;
}

/** An option: its root, filled with blanks to six characters, and its contract. */
const OPTION = /^([A-Z0-9]{1,6})[ +]*(\d{6}[CP]\d{8})$/;

/** A symbol as the server knows it, if it is one: in upper case, an option with the blanks of its 21 characters. */
export function symbol(value: unknown): string | null {
  if (typeof value !== "string") return null;
  const upper = value.trim().toUpperCase();
  const [, root, contract] = OPTION.exec(upper) ?? [];
  if (root !== undefined && contract !== undefined) return upper.length <= 21 ? root.padEnd(6) + contract : null;
  const plain = /^[A-Z0-9.$/-]{1,24}$/.test(upper) && /[A-Z0-9]/.test(upper);
  const marks = /[.$/-]{2}/.test(upper.replace(/^\.\//, "/"));
  return plain && !marks ? upper : null;
}

/** The candles of an answer, oldest first, each moment once, without placeholders of zeros. */
export function candles(body: unknown): Candle[] {
  const read: Candle[] = [];
  for (const entry of list(body)) {
    const f = fields(entry);
    const [ms, open, high, low, close] = [
      number(f, "timestamp"),
      number(f, "open"),
      number(f, "high"),
      number(f, "low"),
      number(f, "close"),
    ];
    if (ms === null || open === null || high === null || low === null || close === null) continue;
    if (Math.min(open, high, low, close) <= 0) continue;
    read.push({ ms, open, high, low, close, volume: number(f, "volume") ?? 0 });
  }
  read.sort((a, b) => a.ms - b.ms);
  return read.filter((c, i) => c.ms !== read[i + 1]?.ms);
}

/** A quote message of the stream. */
export function streamQuote(message: unknown): Quote | null {
  const f = fields<StreamQuote>(message);
  const name = symbol(f.symbol);
  if (name === null) return null;
  const last = number(f, "last_price") ?? 0;
  const change = number(f, "net_change");
  const before = change === null || last <= 0 ? 0 : Number((last - change).toFixed(4));
  return {
    symbol: name,
    last,
    bid: number(f, "bid_price") ?? 0,
    ask: number(f, "ask_price") ?? 0,
    volume: number(f, "total_volume") ?? 0,
    tradeMs: number(f, "trade_time_ms") ?? 0,
    quoteMs: number(f, "quote_time_ms") ?? 0,
    previousClose: before > 0 ? before : null,
  };
}

/** What of the provider's quote object the page reads. */
interface ProviderQuote {
  lastPrice: number;
  bidPrice: number;
  askPrice: number;
  closePrice: number;
  totalVolume: number;
  tradeTime: number;
  quoteTime: number;
}

/** The provider's quote object, as `/api/quote` gives it. */
export function providerQuote(name: string, body: unknown): Quote {
  const f = fields<ProviderQuote>(body);
  const close = number(f, "closePrice");
  return {
    symbol: name,
    last: number(f, "lastPrice") ?? 0,
    bid: number(f, "bidPrice") ?? 0,
    ask: number(f, "askPrice") ?? 0,
    volume: number(f, "totalVolume") ?? 0,
    tradeMs: number(f, "tradeTime") ?? 0,
    quoteMs: number(f, "quoteTime") ?? 0,
    previousClose: close !== null && close > 0 ? close : null,
  };
}
