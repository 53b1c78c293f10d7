/** Structured logs: one JSON object per line on standard error. Never pass a secret. */
import { currentRequest } from "./request_context.ts";
import { Repeats } from "./repeats.ts";

export type Level = "debug" | "info" | "warn" | "error";
type Fields = Record<string, unknown>;

const ENCODER = new TextEncoder();
const ORDER: Record<Level, number> = { debug: 10, info: 20, warn: 30, error: 40 };

export class Log {
  constructor(
    private readonly least: Level,
    private readonly bound: Fields = {},
    private readonly repeats: Repeats = new Repeats(),
  ) {}

  /** A log that adds `fields` to every line. */
  with(fields: Fields): Log {
    return new Log(this.least, { ...this.bound, ...fields }, this.repeats);
  }
  debug(message: string, fields?: Fields): void {
    this.write("debug", message, fields);
  }
  info(message: string, fields?: Fields): void {
    this.write("info", message, fields);
  }
  warn(message: string, fields?: Fields): void {
    this.write("warn", message, fields);
  }
  error(message: string, fields?: Fields): void {
    this.write("error", message, fields);
  }
  /**
   * A warning that can repeat often, as while a service is away: the first with these `key` fields is written at once,
   * then one line per minute with the number of occurrences as `count` and the fields of the latest.
   */
  warnOften(message: string, key: Record<string, string>, fields: Fields = {}): void {
    if (ORDER.warn < ORDER[this.least]) return;
    this.repeats.add(JSON.stringify([message, key]), (count) => this.warn(message, { ...key, ...fields, count }));
  }

  private write(level: Level, message: string, fields: Fields = {}): void {
    if (ORDER[level] < ORDER[this.least]) return;
    const all = { ...requestFields(), ...this.bound, ...plain(fields) };
    const line = { time: new Date().toISOString(), level, message, ...named(all) };
    Deno.stderr.writeSync(ENCODER.encode(JSON.stringify(line) + "\n"));
  }
}

/** Of the request that the line is about, here or on another node. */
function requestFields(): Fields {
  const request = currentRequest();
  if (!request) return {};
  const { id, traceparent } = request;
  return { request_id: id, ...(traceparent === undefined ? {} : { trace_id: traceparent.split("-", 2)[1] }) };
}

const RESERVED = ["time", "level", "message"];

/** Renames fields that would overwrite a standard one: `message` becomes `field_message`. */
function named(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [RESERVED.includes(key) ? `field_${key}` : key, value]),
  );
}

function plain(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map((
      [key, value],
    ) => [key, value instanceof Error ? `${value.name}: ${value.message}` : value]),
  );
}
