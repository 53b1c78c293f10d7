/** Writes a backup: all tables at one moment, and the photos they name. The server may run and is not disturbed. */
import { removeLeftovers, writeBackup } from "./backup/write.ts";
import { readCommandLine } from "../lib/command_line.ts";
import { backup } from "./commands/backup.ts";
import { configOrExit, exitCodeOf, isMade } from "./database.ts";
import { fail, remark, say, Steps } from "./terminal.ts";

const FOLDER = "backups";

const { folder: target, allowMissing } = readCommandLine(backup);
const config = configOrExit();
try {
  if (!await isMade(config)) fail(`There is no database in "${config.DATA_DIR}" yet; start Rookery once`);
  if (target === undefined) await removeLeftovers(FOLDER);
  const folder = target ?? `${FOLDER}/${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "")}`;
  const { tables, photos, secret } = await writeBackup(config, folder, new Steps(), { allowMissing });
  const rows = Object.values(tables).reduce((sum, { rows }) => sum + rows, 0);
  say(`${rows} rows of ${Object.keys(tables).length} tables and ${photos.count} files of photos are in "${folder}"`);
  if (photos.gone > 0) {
    remark(
      `${photos.gone} files were not there: their photos were deleted meanwhile${
        allowMissing ? ", or they are lost" : ""
      }`,
    );
  }
  if (secret.kept === "here") remark("The backup contains its encryption key: protect it as you protect a key");
  else remark("Encrypted values in the backup need this SECRET_KEY: keep it in another place");
} catch (error) {
  fail(`The backup failed: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit(0);
