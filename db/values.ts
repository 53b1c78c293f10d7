/**
 * How values look on the wire (Postgres' text format) and in the program: see `sql.ts`. Other types are returned as the
 * server's text.
 */
import type { Param } from "./sql.ts";

export type Parse = (text: string) => unknown;

const text: Parse = (value) => value;
const number: Parse = (value) => Number(value);
const boolean: Parse = (value) => value === "t";
const json: Parse = (value) => JSON.parse(value);

/** From `2026-01-31 12:00:00.5+00`, the format of a session in UTC; digits beyond milliseconds are truncated. */
export function timestamp(value: string): string {
  // `infinity`, years of five digits and years BC stay unchanged.
  if (value.charCodeAt(10) !== 32 || !value.endsWith("+00")) return value;
  const fraction = value.length > 22 ? (value.slice(20, -3) + "00").slice(0, 3) : "000";
  return `${value.slice(0, 10)}T${value.slice(11, 19)}.${fraction}Z`;
}

/** From `\x0a1b`. */
export function bytes(value: string): Uint8Array {
  const result = new Uint8Array((value.length - 2) / 2);
  for (let i = 0; i < result.length; i++) {
    result[i] = nibble(value.charCodeAt(2 + 2 * i)) * 16 + nibble(value.charCodeAt(3 + 2 * i));
  }
  return result;
}

function nibble(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}

function arrayOf(element: Parse): Parse {
  return (value) => {
    if (value === "{}") return [];
    // An array with other lower bounds than 1 starts with them: `[0:1]={…}`.
    const start = value.charCodeAt(0) === 123 ? 0 : value.indexOf("=") + 1;
    if (!value.includes('"') && value.lastIndexOf("{") === start) {
      return value.slice(start + 1, -1).split(",").map((item) => item === "NULL" ? null : element(item));
    }
    return new ArrayReader(value, start, element).read();
  };
}

/** For arrays with quoted elements or of several dimensions. */
class ArrayReader {
  constructor(private readonly source: string, private at: number, private readonly element: Parse) {}

  read(): unknown[] {
    const items: unknown[] = [];
    this.at++;
    while (this.source[this.at] !== "}") {
      const next = this.source[this.at];
      if (next === "{") items.push(this.read());
      else if (next === ",") this.at++;
      else if (next === '"') items.push(this.element(this.quoted()));
      else items.push(this.plain());
    }
    this.at++;
    return items;
  }

  private quoted(): string {
    let value = "";
    for (this.at++; this.source[this.at] !== '"'; this.at++) {
      if (this.source[this.at] === "\\") this.at++;
      value += this.source[this.at];
    }
    this.at++;
    return value;
  }

  private plain(): unknown {
    const start = this.at;
    while (this.source[this.at] !== "," && this.source[this.at] !== "}") this.at++;
    const value = this.source.slice(start, this.at);
    return value === "NULL" ? null : this.element(value);
  }
}

/** By type: its OID and that of its array, fixed in Postgres' catalogue (`pg_type.dat`). */
const KNOWN: [oid: number, array: number, parse: Parse][] = [
  [16, 1000, boolean],
  [17, 1001, bytes],
  [19, 1003, text],
  [20, 1016, number],
  [21, 1005, number],
  [23, 1007, number],
  [25, 1009, text],
  [26, 1028, number],
  [114, 199, json],
  [700, 1021, number],
  [701, 1022, number],
  [1042, 1014, text],
  [1043, 1015, text],
  [1082, 1182, text],
  [1114, 1115, text],
  [1184, 1185, timestamp],
  [1700, 1231, text],
  [2950, 2951, text],
  [3802, 3807, json],
];

const PARSERS = new Map(KNOWN.flatMap(([oid, array, parse]) => [[oid, parse], [array, arrayOf(parse)]]));

export function parserOf(oid: number): Parse {
  return PARSERS.get(oid) ?? text;
}

/** A parameter in the wire format: text, or bytes in binary format. */
export function encodeParam(value: Param): string | Uint8Array | null {
  if (typeof value === "string" || value === null) return value;
  if (typeof value !== "object") return String(value);
  if (value instanceof Uint8Array) return value;
  if (value instanceof Date) return value.toISOString();
  return "{" + value.map(encodeElement).join(",") + "}";
}

function encodeElement(value: string | number | boolean | null): string {
  if (typeof value === "string") {
    // Most need no escape, and searching for one is cheaper than replacing none.
    return '"' + (value.includes('"') || value.includes("\\") ? value.replace(/["\\]/g, "\\$&") : value) + '"';
  }
  return value === null ? "NULL" : String(value);
}

/**
 * A list for a statement that keeps its plan (`sql.ts`), for the few that run too often to be planned each time. The
 * statement must stay fast whatever the tables contained when it was planned: `tests/db/list_plans_test.ts` checks each
 * of them.
 */
export function keptList(items: readonly (string | number | null)[]): string {
  return encodeParam(items) as string;
}

/** The name of the prepared statement; none if it is planned for the lists it gets. */
export function keptName(name: string | undefined, params: readonly Param[]): string | undefined {
  return name === undefined || params.some((param) => Array.isArray(param)) ? undefined : name;
}
