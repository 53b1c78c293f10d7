/**
 * The part of Postgres' protocol 3 that one statement needs (https://www.postgresql.org/docs/current/protocol.html), for
 * PGlite: the caller encodes and decodes, so that the one worker that runs the statements spends its time on them.
 */
import { kindOfState, type Param, SqlError } from "./sql.ts";
import { encodeParam, type Parse, parserOf } from "./values.ts";

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

class Writer {
  private buffer = new Uint8Array(4096);
  private view = new DataView(this.buffer.buffer);
  private size = 0;

  private reserve(more: number): void {
    if (this.size + more <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.size + more));
    larger.set(this.buffer.subarray(0, this.size));
    this.buffer = larger;
    this.view = new DataView(larger.buffer);
  }
  byte(value: number): this {
    this.reserve(1);
    this.buffer[this.size++] = value;
    return this;
  }
  int16(value: number): this {
    this.reserve(2);
    this.view.setUint16(this.size, value);
    this.size += 2;
    return this;
  }
  int32(value: number, at?: number): this {
    if (at !== undefined) this.view.setInt32(at, value);
    else {
      this.reserve(4);
      this.view.setInt32(this.size, value);
      this.size += 4;
    }
    return this;
  }
  bytes(value: Uint8Array): this {
    this.reserve(value.length);
    this.buffer.set(value, this.size);
    this.size += value.length;
    return this;
  }
  text(value: string): this {
    // At most three bytes for each UTF-16 unit.
    this.reserve(value.length * 3);
    this.size += ENCODER.encodeInto(value, this.buffer.subarray(this.size)).written;
    return this;
  }
  word(value: string): this {
    return this.text(value).byte(0);
  }
  /** A whole message: its length, which counts itself, comes before the body. */
  message(type: string, body: () => void): this {
    this.byte(type.charCodeAt(0));
    const start = this.size;
    this.int32(0);
    body();
    return this.int32(this.size - start, start);
  }
  sized(body: () => void): this {
    const start = this.size;
    this.int32(0);
    body();
    return this.int32(this.size - start - 4, start);
  }
  take(): Uint8Array<ArrayBuffer> {
    const result = this.buffer.slice(0, this.size);
    this.size = 0;
    if (this.buffer.length > 1 << 20) this.buffer = new Uint8Array(4096);
    this.view = new DataView(this.buffer.buffer);
    return result;
  }
}

const writer = new Writer();

export function parseMessage(name: string, text: string): Uint8Array<ArrayBuffer> {
  return writer.message("P", () => writer.word(name).word(text).int16(0)).take();
}

export function closeMessage(name: string): Uint8Array<ArrayBuffer> {
  return writer.message("C", () => writer.text("S").word(name)).take();
}

export function simpleMessage(text: string): Uint8Array<ArrayBuffer> {
  return writer.message("Q", () => writer.word(text)).take();
}

/** Everything after Parse: bind, describe, execute, sync. */
export function executeMessages(name: string, params: readonly Param[]): Uint8Array<ArrayBuffer> {
  const values = params.map(encodeParam);
  writer.message("B", () => {
    writer.word("").word(name).int16(values.length);
    for (const value of values) writer.int16(value instanceof Uint8Array ? 1 : 0);
    writer.int16(values.length);
    for (const value of values) {
      if (value === null) writer.int32(-1);
      else if (typeof value === "string") writer.sized(() => writer.text(value));
      else writer.int32(value.length).bytes(value);
    }
    writer.int16(0);
  });
  writer.message("D", () => writer.text("P").byte(0));
  writer.message("E", () => writer.byte(0).int32(0));
  return writer.message("S", () => {}).take();
}

/** What the worker must know of an answer, without reading its rows. */
export interface Summary {
  parsed: boolean;
  code: string | undefined;
  /** `I` outside a transaction; undefined where the server said nothing, as it is gone. */
  status: string | undefined;
}

export function summarise(answer: Uint8Array): Summary {
  const summary: Summary = { parsed: false, code: undefined, status: undefined };
  for (const { type, start, end } of messages(answer)) {
    if (type === "1") summary.parsed = true;
    else if (type === "E") summary.code = errorFields(answer.subarray(start, end)).C;
    else if (type === "Z") summary.status = String.fromCharCode(answer[start]!);
  }
  return summary;
}

/** The rows of an answer; throws `SqlError` if it holds an error. */
export function decodeRows(answer: Uint8Array): Record<string, unknown>[] {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  const rows: Record<string, unknown>[] = [];
  let columns: { name: string; parse: Parse }[] = [];
  for (const { type, start, end } of messages(answer)) {
    if (type === "D") {
      const row: Record<string, unknown> = {};
      let at = start + 2;
      for (const { name, parse } of columns) {
        const size = view.getInt32(at);
        at += 4;
        if (size < 0) row[name] = null;
        else {
          row[name] = parse(DECODER.decode(answer.subarray(at, at + size)));
          at += size;
        }
      }
      rows.push(row);
    } else if (type === "T") {
      let at = start + 2;
      columns = Array.from({ length: view.getInt16(start) }, () => {
        const stop = answer.indexOf(0, at);
        const name = DECODER.decode(answer.subarray(at, stop));
        at = stop + 19;
        return { name, parse: parserOf(view.getInt32(stop + 7)) };
      });
    } else if (type === "E") {
      const fields = errorFields(answer.subarray(start, end));
      throw new SqlError(fields.M ?? "", kindOfState(fields.C), fields.C, fields.n);
    }
  }
  return rows;
}

function* messages(answer: Uint8Array): Generator<{ type: string; start: number; end: number }> {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  for (let at = 0; at + 5 <= answer.length;) {
    const end = at + 1 + view.getInt32(at + 1);
    yield { type: String.fromCharCode(answer[at]!), start: at + 5, end };
    at = end;
  }
}

function errorFields(body: Uint8Array): Record<string, string | undefined> {
  const fields = DECODER.decode(body).split("\0").filter((field) => field !== "");
  return Object.fromEntries(fields.map((field) => [field[0], field.slice(1)]));
}
