/**
 * Restores a backup. All of it is checked before anything changes. If the process dies at any point, the database is
 * either unchanged or fully restored.
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
  say(`The installation is restored to ${made_at}, with ${tables.users?.rows ?? 0} accounts`);
  say("All sessions have ended; pending jobs, including emails, run at the next start");
  if (replace) say("To remove files of later photos, run deno task storage:scrub --remove in two hours");
} catch (error) {
  if (error instanceof DatabaseLocked) fail(`A server or a task is running (process ${error.pid}); stop it first`);
  fail(`The restore failed: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit(0);
