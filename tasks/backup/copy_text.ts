/**
 * Postgres' text format of COPY (https://www.postgresql.org/docs/current/sql-copy.html): one line per row, values
 * separated by tabs.
 */
import type { Readable } from "node:stream";

const ESCAPES: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };

/** The rows of a table's text as objects by column name. A value is Postgres' text form or null. */
export async function* copyRows(
  text: Readable,
  columns: readonly string[],
): AsyncGenerator<Record<string, string | null>> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of text) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield row(line, columns);
  }
}

function row(line: string, columns: readonly string[]): Record<string, string | null> {
  const values = line.split("\t");
  return Object.fromEntries(columns.map((column, i) => [column, value(values[i] ?? "\\N")]));
}

function value(text: string): string | null {
  if (text === "\\N") return null;
  return text.includes("\\") ? text.replaceAll(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter) : text;
}
