/**
 * Brings a backup back. All of it is looked at before anything is changed; then the database is as it was or as the backup has it,
 * whatever dies in between.
 */
import { checkBackup } from "./backup/check.ts";
import { restoreBackup } from "./backup/restore.ts";
import { readCommandLine } from "../lib/command_line.ts";
import { restore } from "./commands/backup.ts";
import { DatabaseLocked } from "../db/embedded/refused.ts";
import { configOrExit, exitCodeOf } from "./database.ts";
import { fail, say, Steps } from "./terminal.ts";

const { folder, replace } = readCommandLine(restore);
const config = configOrExit();
try {
  const steps = new Steps();
  const checked = await checkBackup(config, folder, steps);
  await restoreBackup(config, checked, replace, steps);
  const { made_at, tables } = checked.manifest;
  say(`The installation is as it was at ${made_at}, with ${tables.users?.rows ?? 0} accounts`);
  say("Everybody signs in again; what was still to be done then is done at the next start, letters as well");
  if (replace) say("Files of photos that came later: deno task storage:scrub --remove, two hours from now");
} catch (error) {
  if (error instanceof DatabaseLocked) fail(`A server, or a task, is at work (process ${error.pid}); stop it first`);
  fail(`Nothing was restored: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit(0);
