import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { type Changes, nothing } from "./store.ts";
import { NUMBERS, type Numbers } from "../../db/page_numbers.ts";

const DAY_MS = 86_400_000;
/** Maximum and default number of days (`docs/limits.md`). */
const MAX_DAYS = 366;
const USUAL_DAYS = 30;

const date = z.iso.date().refine((value) => value >= "1970-01-01", "Expected a day from 1970-01-01 on");

/** `from` and `to`, both inclusive, in UTC; by default the last 30 days. */
export const periodQuery = z.strictObject({ from: date.optional(), to: date.optional() })
  .meta({ description: "Days in UTC, both inclusive; by default the last 30" });

export interface Period {
  from: string;
  to: string;
}

/** Throws `validation` if it ends before it starts, is too long, or includes future days. */
export function periodOf({ from, to }: { from?: string | undefined; to?: string | undefined }, now: number): Period {
  const today = day(now);
  if (from !== undefined && from > today) throw wrong("from", `Expected ${today} or an earlier day, got ${from}`);
  if (to !== undefined && to > today) throw wrong("to", `Expected ${today} or an earlier day, got ${to}`);
  const end = to ?? today;
  const begin = from ?? day(Math.max(0, Date.parse(end) - (USUAL_DAYS - 1) * DAY_MS));
  const days = (Date.parse(end) - Date.parse(begin)) / DAY_MS + 1;
  if (days < 1) throw wrong("to", `Expected ${begin} or a later day, got ${end}`);
  if (days > MAX_DAYS) throw wrong("from", `Expected at most ${MAX_DAYS} days, got ${days}`);
  return { from: begin, to: end };
}

function wrong(path: "from" | "to", message: string): AppError {
  return new AppError("validation", undefined, { errors: [{ path, rule: "period", message }] });
}

export interface PageStats extends Period {
  /** The current counts. */
  totals: Numbers;
  /** The difference between the end and the start of the period. */
  growth: Numbers;
  /** The counts at the end of each day. */
  daily: ({ date: string } & Numbers)[];
}

export function statsOf({ from, to }: Period, { before, days, after }: Changes): PageStats {
  const daily: PageStats["daily"] = [];
  let count = before;
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) {
    const date = day(at);
    count = plus(count, days.get(date) ?? nothing());
    daily.push({ date, ...count });
  }
  return { from, to, totals: plus(count, after), growth: plus(count, before, -1), daily };
}

function plus(one: Numbers, other: Numbers, times: 1 | -1 = 1): Numbers {
  const sum = nothing();
  for (const name of NUMBERS) sum[name] = one[name] + times * other[name];
  return sum;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
