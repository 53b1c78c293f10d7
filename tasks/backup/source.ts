/** The source of a backup's tables, all from one snapshot. */
import type { Readable } from "node:stream";
import { openDatabase } from "../database.ts";
import type { Config } from "../../config.ts";
import { sequencerState } from "../../db/events.ts";
import type { Reader } from "../../db/sql.ts";
import { checkOwn, quoted, storedSequences, storedTables } from "./catalog.ts";
import { copyOut } from "./postgres_copy.ts";
import { connectDedicated, TransactionSql } from "./transaction.ts";
import type { Manifest } from "./manifest.ts";

export interface Snapshot extends AsyncDisposable {
  tables: ReadonlyMap<string, readonly string[]>;
  history: Manifest["history"];
  migrations: Manifest["migrations"];
  /** The text of a table. Only one can be read at a time. */
  read(table: string): Promise<Readable>;
  /** The number of its rows. */
  count(table: string): Promise<number>;
  /** Read after the tables, so that no number in them exceeds it. */
  sequences(): Promise<Manifest["sequences"]>;
}

/** Takes the snapshot. Throws messages for the user. */
export async function takeSnapshot(config: Config): Promise<Snapshot> {
  await using stack = new AsyncDisposableStack();
  const { url } = stack.use(await openDatabase(config));
  const snapshot = stack.use(await snapshotOf(url));
  const running = stack.move();
  return { ...snapshot, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** One transaction with one snapshot. Others may write meanwhile. */
export async function snapshotOf(url: string, leftOut?: readonly string[]): Promise<Snapshot> {
  await using stack = new AsyncDisposableStack();
  const client = stack.adopt(await connectDedicated(url), (client) => client.end());
  const sql = new TransactionSql(client);
  const seen = [...(await checkedTables(sql, leftOut)).keys()];
  await client.query("begin isolation level repeatable read read only; set local statement_timeout = 0");
  // Locked before the first query fixes the snapshot. From here on no table can be altered.
  await client.query(`lock table ${quoted(seen)} in access share mode`);
  const about = await describe(sql, leftOut);
  if (seen.join() !== [...about.tables.keys()].join()) throw new Error("The tables were altered meanwhile; try again");
  const running = stack.move();
  return {
    ...about,
    read: (table) =>
      Promise.resolve(copyOut(client, `copy "${table}" (${quoted(about.tables.get(table)!)}) to stdout`)),
    async count(table) {
      const [row] = await sql.query<{ rows: number }>(`select count(*) as rows from ${quoted([table])}`);
      return row!.rows;
    },
    sequences: () => readSequences(sql),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function checkedTables(sql: Reader, leftOut?: readonly string[]): Promise<Map<string, string[]>> {
  await checkOwn(sql);
  const tables = await storedTables(sql, leftOut);
  if (tables.has("users")) return tables;
  throw new Error("Nothing to back up: the database has no accounts; start Rookery once");
}

async function describe(
  sql: Reader,
  leftOut?: readonly string[],
): Promise<Pick<Snapshot, "tables" | "history" | "migrations">> {
  const { epoch, seq } = await sequencerState(sql);
  return {
    tables: await storedTables(sql, leftOut),
    history: { epoch, seq },
    migrations: await sql.query("select number, name from migrations order by number"),
  };
}

async function readSequences(sql: Reader): Promise<Manifest["sequences"]> {
  const found: Manifest["sequences"] = {};
  for (const name of await storedSequences(sql)) {
    const [row] = await sql.query<{ value: number; is_called: boolean }>(
      `select last_value as value, is_called from ${quoted([name])}`,
    );
    found[name] = row!;
  }
  return found;
}
