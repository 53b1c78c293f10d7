/** Upgrades an embedded database from an older major version of Postgres. The old database is kept beside it. */
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
  // Opening a missing folder would create it.
  await Deno.stat(DATA_DIR).catch(() => fail(`There is no database in "${DATA_DIR}"`, 2));
  const { from, to, kept } = await upgradeFolder(DATA_DIR, new Steps(), say);
  say(`The database has Postgres ${to} now; the one with Postgres ${from} is kept in "${kept}"`);
  say("Remove that folder once everything works: new data is in the new database only");
} catch (error) {
  const why = error instanceof Error ? error.message : String(error);
  fail(`The upgrade failed: ${why}`, error instanceof EmbeddedRefused ? 2 : 1);
}
Deno.exit(0);
