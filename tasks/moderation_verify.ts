/**
 * Walks the record of moderation and names the first entry that is not as it was written. It prints where the chain ends: kept elsewhere
 * and given back with `--known`, that shows whether somebody has written the whole chain anew.
 */
import { readCommandLine } from "../lib/command_line.ts";
import { moderationVerify } from "./commands/moderation_verify.ts";
import { verifyChain } from "../db/moderation_log.ts";
import { configOrExit, exitCodeOf, isMade, openDatabase } from "./database.ts";
import { fail, say, styled } from "./terminal.ts";

const { known } = readCommandLine(moderationVerify);
const config = configOrExit();
try {
  if (!await isMade(config)) fail(`There is no database in "${config.DATA_DIR}" yet; start Rookery once`);
  await using database = await openDatabase(config);
  const verdict = await verifyChain(database.sql, known);
  if (verdict.sound) {
    const { seq, hash } = verdict.end;
    say(`${seq} ${seq === 1 ? "entry" : "entries"}, each as it was written; the chain ends with ${seq}:${hash}`);
  } else {
    say(`${styled("red", "The record was tampered with")}: entry ${verdict.seq}: ${verdict.problem}`);
    Deno.exitCode = 1;
  }
} catch (error) {
  fail(`The record is out of reach: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit();
