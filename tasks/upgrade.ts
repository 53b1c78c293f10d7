/** Brings an embedded database of an older major version of Postgres to this version's. The old one stays beside it. */
import { upgradeFolder } from "./backup/upgrade.ts";
import { readCommandLine } from "../lib/command_line.ts";
import { upgrade } from "./commands/plain.ts";
import { EmbeddedRefused } from "../db/embedded/refused.ts";
import { configOrExit } from "./database.ts";
import { fail, say, Steps } from "./terminal.ts";

readCommandLine(upgrade);
const { DATABASE_URL, DATA_DIR } = configOrExit();
if (DATABASE_URL !== undefined) fail("DATABASE_URL is set: upgrade that Postgres with its own tools", 2);
try {
  // A folder that is not there must not be made.
  await Deno.stat(DATA_DIR).catch(() => fail(`There is no database in "${DATA_DIR}"`, 2));
  const { from, to, kept } = await upgradeFolder(DATA_DIR, new Steps(), say);
  say(`The database is of Postgres ${to} now; that of Postgres ${from} is kept in "${kept}"`);
  say("Remove that folder once all is well: what comes from now on is in the new one only");
} catch (error) {
  const why = error instanceof Error ? error.message : String(error);
  fail(`Nothing was upgraded: ${why}`, error instanceof EmbeddedRefused ? 2 : 1);
}
Deno.exit(0);
