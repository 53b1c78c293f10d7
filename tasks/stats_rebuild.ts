/**
 * Rebuilds the statistics. First compares their source with the tables and corrects differences from today on. A
 * running service continues by itself.
 */
import { readCommandLine } from "../lib/command_line.ts";
import { statsRebuild } from "./commands/plain.ts";
import { connectPostgres } from "../db/postgres.ts";
import { migrate } from "../db/migrate.ts";
import { recountDays } from "../db/page_days.ts";
import { rebuild } from "../services/stats/rebuild.ts";
import { StatsStore } from "../services/stats/store.ts";
import { configOrExit, exitCodeOf, isMade, openDatabase } from "./database.ts";
import { fail, say } from "./terminal.ts";

const SHOWN = 50;

readCommandLine(statsRebuild);
const config = configOrExit();
try {
  if (!await isMade(config)) fail(`There is no database in "${config.DATA_DIR}" yet; start Rookery once`);
  await using stack = new AsyncDisposableStack();
  const { sql } = stack.use(await openDatabase(config));
  await migrate(sql);
  const url = config.STATS_DATABASE_URL;
  const store = new StatsStore(
    url === undefined ? sql : stack.use(connectPostgres(url, { max: 2, applicationName: "rookery-task" })),
    url === undefined,
  );
  await store.migrate();
  const wrong = await recountDays(sql);
  say(
    wrong.length === 0
      ? "All pages had correct counts"
      : `${wrong.length} pages had wrong counts, corrected from today on`,
  );
  for (const page of wrong.slice(0, SHOWN)) say(`  ${page}`);
  if (wrong.length > SHOWN) say(`  … and ${wrong.length - SHOWN} more`);
  const { seq } = await rebuild(store, sql);
  say(`Statistics rebuilt up to event ${seq}; the service processes later events`);
  await stack.disposeAsync();
  Deno.exit(0);
} catch (error) {
  fail(`Rebuilding the statistics failed: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
