// The exchange's clock: New York's time of any moment, and what part of the trading day it lies in.

const ZONE = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York",
  hourCycle: "h23",
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "numeric",
  second: "numeric",
});

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
const MINUTE_MS = 60_000;

/** Offsets by hour, since asking the zone takes microseconds; a page that is open for weeks asks anew. */
const KNOWN_MAX = 5_000;
const known = new Map<number, number>();

/** What must be added to a moment so that reading it as UTC gives New York's time. */
export function offsetMs(ms: number): number {
  const hour = Math.floor(ms / HOUR_MS);
  const hit = known.get(hour);
  if (hit !== undefined) return hit;
  const part: Record<string, number> = {};
  const begin = hour * HOUR_MS;
  for (const { type, value } of ZONE.formatToParts(begin)) part[type] = Number(value);
  const local = Date.UTC(
    part["year"] ?? 1970,
    (part["month"] ?? 1) - 1,
    part["day"] ?? 1,
    part["hour"] ?? 0,
    part["minute"] ?? 0,
    part["second"] ?? 0,
  );
  const offset = local - begin;
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(hour, offset);
  return offset;
}

/** A number for New York's calendar day, one more for each day. */
export function dayOf(ms: number): number {
  return Math.floor((ms + offsetMs(ms)) / DAY_MS);
}

/** The parts of a trading day; weekends and nights are closed. Holidays are not known here. */
export type Phase = "pre" | "regular" | "after" | "closed";

export function phase(ms: number): Phase {
  const local = ms + offsetMs(ms);
  // 1970-01-01 was a Thursday.
  const weekday = (Math.floor(local / DAY_MS) + 4) % 7;
  if (weekday === 0 || weekday === 6) return "closed";
  const minute = Math.floor((local % DAY_MS) / MINUTE_MS);
  if (minute < 4 * 60 || minute >= 20 * 60) return "closed";
  if (minute < 9 * 60 + 30) return "pre";
  return minute < 16 * 60 ? "regular" : "after";
}

const two = (n: number): string => String(n).padStart(2, "0");

/** "09:41:07" */
export function clock(ms: number): string {
  const at = new Date(ms + offsetMs(ms));
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
}

/** "11-25 09:41" */
export function dayAndMinute(ms: number): string {
  const at = new Date(ms + offsetMs(ms));
  return `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())} ${clock(ms).slice(0, 5)}`;
}

/** "2026-11-25" */
export function date(ms: number): string {
  return new Date(ms + offsetMs(ms)).toISOString().slice(0, 10);
}
