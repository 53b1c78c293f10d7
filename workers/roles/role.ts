import type { Config } from "../../config.ts";
import type { Log } from "../../lib/log.ts";
import { migrate } from "../../db/migrate.ts";
import { connectPostgres, type PostgresOptions } from "../../db/postgres.ts";
import type { Sql } from "../../db/sql.ts";

export interface RoleParts {
  config: Config;
  log: Log;
  /** The process has lost what it cannot run without. */
  onLost: (reason: Error) => void;
}

/** What a process does, once it is up. Disposing stops it in order. */
export interface RunningRole extends AsyncDisposable {
  /** Printed on standard output: what is ready, and where. */
  ready: readonly string[];
}

/** Starts what one value of `ROLES` stands for. Whatever fails takes down what stands already. */
export type Role = (parts: RoleParts) => Promise<RunningRole>;

/** A role that runs is disposed of as its parts' stack would be. */
export function running(stack: AsyncDisposableStack, ...ready: string[]): RunningRole {
  const parts = stack.move();
  return { ready, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** Connects to the database for as long as the stack stands, with all migrations applied. */
export async function openDatabase(
  { log, stack }: { log: Log; stack: AsyncDisposableStack },
  url: string,
  options: PostgresOptions,
): Promise<Sql> {
  const sql = stack.use(connectPostgres(url, options));
  const applied = await migrate(sql);
  if (applied.length > 0) log.info("migrations applied", { applied });
  return sql;
}
