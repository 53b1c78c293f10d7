/** The files of `db/statements/`: each named statement as it is sent, formatted. A test compares them with the code. */
import type { Statement } from "./collect.ts";
import { formatSql } from "./format.ts";

export const FOLDER = new URL("../../db/statements/", import.meta.url);

/** Texts by file name. */
export function filesOf(statements: readonly Statement[]): Map<string, string> {
  return new Map(statements.map(({ name, text }) => [`${name}.sql`, formatSql(text)]));
}

export async function storedFiles(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { name } of Deno.readDir(FOLDER)) found.set(name, await Deno.readTextFile(new URL(name, FOLDER)));
  return found;
}
