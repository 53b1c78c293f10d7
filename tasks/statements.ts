/** Rewrites `db/statements/`: the final text of every named SQL statement. */
import { readCommandLine } from "../lib/command_line.ts";
import { statements } from "./commands/plain.ts";
import { allStatements } from "./statements/collect.ts";
import { filesOf, FOLDER, storedFiles } from "./statements/snapshot.ts";

readCommandLine(statements);
await Deno.mkdir(FOLDER, { recursive: true });
const files = filesOf(await allStatements());
const stored = await storedFiles();
for (const [name, text] of files) {
  if (stored.get(name) !== text) await Deno.writeTextFile(new URL(name, FOLDER), text);
}
for (const name of stored.keys()) {
  if (!files.has(name)) await Deno.remove(new URL(name, FOLDER));
}
