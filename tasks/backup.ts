/**
 * Writes a backup: all tables as they were at one moment, and the photos they name. The server may run; an embedded one answers
 * nobody while its tables are written out.
 */
import { removeLeftovers, writeBackup } from "../backup/write.ts";
import { offerHelp } from "../command_line.ts";
import { configOrExit, isMade } from "./database.ts";
import { fail, remark, say, Steps } from "./terminal.ts";

const USAGE = `usage: deno task backup             to ./backups/<time>
       deno task backup <folder>    to this folder, which must not exist yet`;
const FOLDER = "backups";

offerHelp(USAGE);
if (Deno.args.length > 1 || Deno.args[0] === "" || Deno.args[0]?.startsWith("-")) fail(USAGE, 2);
const config = configOrExit();
try {
  if (!await isMade(config)) fail(`There is no database in "${config.DATA_DIR}" yet; start Rookery once`);
  if (Deno.args[0] === undefined) await removeLeftovers(FOLDER);
  const folder = (Deno.args[0] ?? `${FOLDER}/${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "")}`).replace(
    /(.)\/+$/,
    "$1",
  );
  const { tables, photos, secret } = await writeBackup(config, folder, new Steps());
  const rows = Object.values(tables).reduce((sum, { rows }) => sum + rows, 0);
  say(`${rows} rows of ${Object.keys(tables).length} tables and ${photos.count} files of photos are in "${folder}"`);
  if (photos.gone > 0) {
    remark(`${photos.gone} files were not there: their photos were deleted meanwhile, or see deno task storage:scrub`);
  }
  if (secret.kept === "here") remark("The key that opens what is sealed is in it, too: keep it as you keep a key");
  else remark("What is sealed in it opens with this SECRET_KEY only: keep that, elsewhere");
} catch (error) {
  fail(`There is no backup: ${error instanceof Error ? error.message : error}`);
}
Deno.exit(0);
