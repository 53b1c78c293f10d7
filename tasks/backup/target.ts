/** The target of a restore: all or nothing, and only while no process runs. */
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type pg from "../../db/pg.ts";
import type { Config } from "../../config.ts";
import { clusterFolder } from "../../db/embedded/cluster.ts";
import { MAIN } from "../../db/migrate.ts";
import { type DataLock, lockData } from "../../db/embedded/lock.ts";
import { startEmbedded } from "../../db/embedded/server.ts";
import { putInPlace, restoringFolder } from "../../db/restored_data.ts";
import { connectPostgres } from "../../db/postgres.ts";
import type { Reader, Sql } from "../../db/sql.ts";
import { allTables, checkOwn, DROP_ALL, quoted } from "./catalog.ts";
import { SECRET_FILE } from "./manifest.ts";
import { copyIn } from "./postgres_copy.ts";
import { connectDedicated, TransactionSql } from "./transaction.ts";

/** What the restored database must know of the replaced one. */
export interface Replaced {
  /** Partitions with their epochs. A process that still has one of these must never write again. */
  epochs: readonly { id: number; epoch: number }[];
  history: string | undefined;
}

export interface Target extends AsyncDisposable {
  /** Empty: no migrations are applied. */
  sql: Sql;
  replaced: Replaced;
  load(table: string, columns: readonly string[], text: Readable): Promise<void>;
  /** Puts the new database in place. Until then nothing has changed. */
  commit(): Promise<void>;
}

export interface TargetOptions {
  /** Whether existing data may be deleted. */
  replace: boolean;
  /** For the installation's own key, if no setting has one. */
  key: Uint8Array | undefined;
  /** The data folder's lock, if the caller has it already. */
  lock?: DataLock;
  /** The name in the data folder under which the previous database is kept. */
  keepAs?: string;
}

/** Throws messages for the user if a process runs, or if there are accounts that may not be deleted. */
export async function openTarget(config: Config, options: TargetOptions): Promise<Target> {
  return config.DATABASE_URL === undefined
    ? await embeddedTarget(config.DATA_DIR, options)
    : await postgresTarget(config.DATABASE_URL, options);
}

const NOT_EMPTY = "There are accounts already; --replace deletes everything there is";
const NONE: Replaced = { epochs: [], history: undefined };

/** A table that is being read cannot be dropped. */
const LOCK_WAIT = "30s";

/** One transaction drops, creates and fills. */
async function postgresTarget(url: string, { replace }: TargetOptions): Promise<Target> {
  await using stack = new AsyncDisposableStack();
  const client = stack.adopt(await connectDedicated(url), (client) => client.end());
  const sql = new TransactionSql(client);
  // The lock of migrations: a node that starts meanwhile waits, then finds the result.
  await client.query(
    `begin; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0;
    set local lock_timeout = '${LOCK_WAIT}';
    select pg_advisory_xact_lock(${MAIN.lock})`,
  );
  await checkOwn(sql);
  const tables = await allTables(sql);
  await checkNobody(sql, tables.includes("nodes"));
  if (!replace && await hasAccounts(sql)) throw new Error(NOT_EMPTY);
  const replaced = tables.includes("sequencer") ? await whatWas(sql) : NONE;
  await sql.script(`drop schema if exists stats cascade;\n${DROP_ALL}`);
  const running = stack.move();
  return {
    sql,
    replaced,
    load: loading(client),
    async commit() {
      await client.query("commit");
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Nodes are found by their leases. Other processes of the role are found by their connections. */
async function checkNobody(sql: Reader, hasNodes: boolean): Promise<void> {
  const nodes = hasNodes ? await sql.query("select from nodes where lease_until > clock_timestamp()") : [];
  const connections = await sql.query<{ name: string }>(
    `select distinct application_name as name from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
      and application_name like 'rookery%' and application_name <> 'rookery-task' order by 1`,
  );
  if (nodes.length === 0 && connections.length === 0) return;
  const who = connections.map(({ name }) => name).join(", ") || "a node whose lease has not ended yet";
  throw new Error(
    `Processes of the installation are running (${who}); stop them all, and try again a few seconds later`,
  );
}

async function hasAccounts(sql: Reader): Promise<boolean> {
  const [made] = await sql.query<{ made: boolean }>("select to_regclass('public.users') is not null as made");
  return made?.made === true && (await sql.query("select from users limit 1")).length > 0;
}

async function whatWas(sql: Reader): Promise<Replaced> {
  const [row] = await sql.query<{ epoch: string }>("select epoch from sequencer");
  return { epochs: await sql.query("select id, epoch from partitions"), history: row?.epoch };
}

function loading(client: pg.Client): Target["load"] {
  return (table, columns, text) => pipeline(text, copyIn(client, `copy "${table}" (${quoted(columns)}) from stdin`));
}

/** A separate database that replaces the other with one rename. */
export async function embeddedTarget(
  dataDir: string,
  { replace, key, keepAs, ...given }: TargetOptions,
): Promise<Target> {
  await using stack = new AsyncDisposableStack();
  // No server can start before this is done.
  const lock = given.lock ?? stack.use(await lockData(dataDir));
  if (!replace) await checkEmpty(dataDir, lock);
  const folder = restoringFolder(dataDir);
  await Deno.mkdir(folder, { mode: 0o700 });
  stack.defer(() => Deno.remove(folder, { recursive: true }).catch(() => {}));
  if (key) await Deno.writeFile(`${folder}/${SECRET_FILE}`, key, { mode: 0o600 });
  const server = stack.use(await startEmbedded(folder, { lock }));
  const client = stack.adopt(await connectDedicated(server.url), (client) => client.end());
  await client.query("begin; set local statement_timeout = 0");
  const running = stack.move();
  return {
    sql: new TransactionSql(client),
    // Processes that used the replaced database cannot reach one in another folder.
    replaced: NONE,
    load: loading(client),
    async commit() {
      await client.query("commit");
      await client.end();
      await server[Symbol.asyncDispose]();
      await putInPlace(dataDir, keepAs);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function checkEmpty(dataDir: string, lock: DataLock): Promise<void> {
  const made = await Deno.stat(clusterFolder(dataDir)).then(() => true, () => false);
  if (!made) return;
  await using server = await startEmbedded(dataDir, { lock });
  await using sql = connectPostgres(server.url, { max: 1, applicationName: "rookery-task" });
  if (await hasAccounts(sql)) throw new Error(NOT_EMPTY);
}
