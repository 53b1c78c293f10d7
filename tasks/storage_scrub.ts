/**
 * Holds the stored files and the photos of the database against each other: files that nobody knows, and files that are missing.
 * Without `--remove` it only tells; with it the files that nobody knows go. Nothing can bring a missing one back.
 */
import { readCommandLine } from "../lib/command_line.ts";
import { storageScrub } from "./commands/storage_scrub.ts";
import { disownFiles } from "../db/files.ts";
import { Log } from "../lib/log.ts";
import { Secret } from "../security/secret.ts";
import { openStorage } from "../services/storage/open.ts";
import { scrubFiles } from "../services/storage/scrub_files.ts";
import { runningStorage } from "../workers/roles/services.ts";
import { configOrExit, exitCodeOf, isMade, openDatabase } from "./database.ts";
import { fail, say } from "./terminal.ts";

/** Younger ones may belong to an upload that is under way. */
const OLD_MS = 2 * 3_600_000;
const SHOWN = 50;

const { remove } = readCommandLine(storageScrub);
const config = configOrExit();
try {
  if (!await isMade(config)) fail(`There is no database in "${config.DATA_DIR}" yet; start Rookery once`);
  await using stack = new AsyncDisposableStack();
  const { sql } = stack.use(await openDatabase(config));
  const secret = await Secret.load(config.SECRET_KEY, config.DATA_DIR);
  const storage = stack.use(openStorage(await runningStorage({ config, secret, log: new Log("error"), stack })));
  const { orphans, missing, looked } = await scrubFiles(sql, storage, { olderThanMs: OLD_MS });
  say(`${looked} files and photos looked at`);
  list("missing", missing);
  list("known to nobody", orphans.map(({ key, size }) => `${key}  ${size} bytes`));
  if (remove && orphans.length > 0) {
    // Written down first: a crash in between leaves them to the sweeper.
    await disownFiles(sql, orphans.map(({ key }) => key));
    for (const { key } of orphans) await storage.delete(key);
    say(`${orphans.length} removed`);
  } else if (orphans.length > 0) say("Remove them with: deno task storage:scrub --remove");
  await stack.disposeAsync();
  Deno.exit(missing.length > 0 ? 1 : 0);
} catch (error) {
  fail(`The files are out of reach: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}

function list(what: string, lines: string[]): void {
  say(`${lines.length} ${what}`);
  for (const line of lines.slice(0, SHOWN)) say(`  ${line}`);
  if (lines.length > SHOWN) say(`  … and ${lines.length - SHOWN} more`);
}
