/** Applies pending migrations: to `DATABASE_URL`, or to the embedded database while no server runs. */
import { readCommandLine } from "../lib/command_line.ts";
import { migrate } from "./commands/plain.ts";
import { migrate as applyMigrations } from "../db/migrate.ts";
import { configOrExit, exitCodeOf, openDatabase } from "./database.ts";
import { fail, say } from "./terminal.ts";

readCommandLine(migrate);
const config = configOrExit();
try {
  await using database = await openDatabase(config);
  if (database.by === "server") {
    say(`A server is running on "${config.DATA_DIR}"; it applied its migrations when it started`);
  } else {
    const applied = await applyMigrations(database.sql);
    for (const name of applied) say(`applied ${name}`);
    say(applied.length === 0 ? "Nothing to apply: the database is up to date" : `${applied.length} applied`);
  }
} catch (error) {
  fail(`Applying migrations failed: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
// Idle connections of the pool would keep the process alive.
Deno.exit(0);
