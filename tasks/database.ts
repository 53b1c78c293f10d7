import { type Config, ConfigError, readConfig } from "../config.ts";
import { DatabaseLocked, openPglite } from "../db/pglite.ts";
import { connectPostgres } from "../db/postgres.ts";
import { connectSqlSocket } from "../db/socket.ts";
import { type Sql, SqlError } from "../db/sql.ts";
import { fail } from "./terminal.ts";

export interface TaskDatabase extends AsyncDisposable {
  sql: Sql;
  /** `server`: through the running server; `files`: no server runs, and none can start until this is closed. */
  by: "postgres" | "server" | "files";
}

/** The settings, or the end of the task with every wrong one named. */
export function configOrExit(): Config {
  try {
    return readConfig(Deno.env.toObject());
  } catch (error) {
    if (error instanceof ConfigError) fail(error.message, 2);
    throw error;
  }
}

/**
 * The installation's database. The embedded one has one opener at a time: a running server, and then this goes through its
 * socket; or this process, under the lock. Throws where a server holds the files and does not answer yet.
 */
export async function openDatabase({ DATABASE_URL: url, DATA_DIR: dataDir }: Config): Promise<TaskDatabase> {
  if (url !== undefined) return owned(connectPostgres(url, { max: 2, applicationName: "rookery-task" }), "postgres");
  try {
    return owned(await openPglite(dataDir), "files");
  } catch (error) {
    if (!(error instanceof DatabaseLocked)) throw error;
  }
  const sql = connectSqlSocket(`${dataDir}/socket`);
  try {
    await sql.query("select 1 as answer");
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw new Error(`A server has the database in "${dataDir}" open, but does not answer yet; try again in a moment`);
  }
  return owned(sql, "server");
}

/** Whether the embedded database was ever made: a task that only looks must not make one. */
export async function isMade({ DATABASE_URL: url, DATA_DIR: dataDir }: Config): Promise<boolean> {
  if (url !== undefined) return true;
  try {
    return (await Deno.stat(`${dataDir}/postgres`)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function owned(sql: Sql, by: TaskDatabase["by"]): TaskDatabase {
  return { sql, by, [Symbol.asyncDispose]: () => sql[Symbol.asyncDispose]() };
}
