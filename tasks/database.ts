import { type Config, ConfigError, readConfig } from "../config.ts";
import { readAddress } from "../db/embedded/address.ts";
import { clusterFolder } from "../db/embedded/cluster.ts";
import { DatabaseLocked, EmbeddedRefused } from "../db/embedded/refused.ts";
import { startEmbedded } from "../db/embedded/server.ts";
import { connectPostgres } from "../db/postgres.ts";
import { type Sql, SqlError } from "../db/sql.ts";
import { fail } from "./terminal.ts";

export interface TaskDatabase extends AsyncDisposable {
  sql: Sql;
  /** For a dedicated connection. */
  url: string;
  /**
   * `postgres`: DATABASE_URL. `server`: the embedded database of a running Rookery. `task`: the embedded database,
   * started by this task; no Rookery can start until it is closed.
   */
  by: "postgres" | "server" | "task";
}

/** The settings, with some overrides. Ends the task if any are wrong and names all of them. */
export function configOrExit(overrides: Record<string, string> = {}): Config {
  try {
    return readConfig({ ...Deno.env.toObject(), ...overrides });
  } catch (error) {
    if (error instanceof ConfigError) fail(error.message, 2);
    throw error;
  }
}

/** An unusable folder is a wrong setting, as at a start. A folder in use is a temporary error. */
export function exitCodeOf(error: unknown): number {
  return error instanceof EmbeddedRefused && !(error instanceof DatabaseLocked) ? 2 : 1;
}

/**
 * The installation's database. Starts the embedded one if it does not run, and stops it with this object. Throws if
 * another process has it and does not answer yet.
 */
export async function openDatabase({ DATABASE_URL, DATA_DIR }: Config): Promise<TaskDatabase> {
  await using stack = new AsyncDisposableStack();
  const { url, by } = DATABASE_URL === undefined
    ? await embedded(DATA_DIR, stack)
    : { url: DATABASE_URL, by: "postgres" as const };
  const sql = stack.use(connectPostgres(url, { max: 2, applicationName: "rookery-task" }));
  if (by === "server") await checkAnswers(sql, DATA_DIR);
  const opened = stack.move();
  return { sql, url, by, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function embedded(
  dataDir: string,
  stack: AsyncDisposableStack,
): Promise<{ url: string; by: "server" | "task" }> {
  try {
    return { url: stack.use(await startEmbedded(dataDir)).url, by: "task" };
  } catch (error) {
    if (!(error instanceof DatabaseLocked)) throw error;
  }
  try {
    return { url: await readAddress(dataDir), by: "server" };
  } catch (error) {
    throw error instanceof Deno.errors.NotFound ? busy(dataDir) : error;
  }
}

async function checkAnswers(sql: Sql, dataDir: string): Promise<void> {
  try {
    await sql.query("select");
  } catch (error) {
    throw error instanceof SqlError ? busy(dataDir) : error;
  }
}

function busy(dataDir: string): Error {
  return new Error(
    `Another process has the database in "${dataDir}", but it does not answer yet; try again in a moment`,
  );
}

/** Whether the embedded database exists. Tasks that only read must not create one. */
export async function isMade({ DATABASE_URL: url, DATA_DIR: dataDir }: Config): Promise<boolean> {
  if (url !== undefined) return true;
  try {
    return (await Deno.stat(clusterFolder(dataDir))).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
