/**
 * Compares the stored files with the photos in the database. Reports orphaned and missing files; `--remove` deletes
 * orphaned ones. Missing files cannot be recovered.
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

/** Younger files may belong to an upload in progress. */
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
  say(`${looked} files and photos checked`);
  list("missing", missing);
  list("orphaned", orphans.map(({ key, size }) => `${key}  ${size} bytes`));
  if (remove && orphans.length > 0) {
    // Recorded first: after a crash the file sweeper deletes them.
    await disownFiles(sql, orphans.map(({ key }) => key));
    for (const { key } of orphans) await storage.delete(key);
    say(`${orphans.length} removed`);
  } else if (orphans.length > 0) say("Remove them with: deno task storage:scrub --remove");
  await stack.disposeAsync();
  Deno.exit(missing.length > 0 ? 1 : 0);
} catch (error) {
  fail(`Cannot access the files: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}

function list(what: string, lines: string[]): void {
  say(`${lines.length} ${what}`);
  for (const line of lines.slice(0, SHOWN)) say(`  ${line}`);
  if (lines.length > SHOWN) say(`  … and ${lines.length - SHOWN} more`);
}
