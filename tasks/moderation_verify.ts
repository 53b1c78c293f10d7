/**
 * Verifies the record of moderation and names the first altered entry. Prints the end of the chain: stored elsewhere
 * and passed with `--known`, it shows whether the whole chain was rewritten.
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
    say(`${seq} ${seq === 1 ? "entry" : "entries"}, none altered; the chain ends with ${seq}:${hash}`);
  } else {
    say(`${styled("red", "The record was tampered with")}: entry ${verdict.seq}: ${verdict.problem}`);
    Deno.exitCode = 1;
  }
} catch (error) {
  fail(`Cannot read the record: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit();
