import type { Sql } from "./sql.ts";

/** A set of migrations. A separate service has a separate set. */
export interface MigrationSet {
  folder: URL;
  /** The table of applied migrations. */
  table: string;
  /** The advisory lock that a migrating process holds. Any number, the same everywhere. */
  lock: number;
}

/** The tables of the installation. */
export const MAIN: MigrationSet = {
  folder: new URL("./migrations/", import.meta.url),
  table: "migrations",
  lock: 7_274_931,
};

export interface Migration {
  number: number;
  name: string;
  text: string;
}

/**
 * Applies the numbered migrations that are missing, each all or nothing, under a lock, so that several nodes can start
 * at the same time. Returns the names of the applied ones. Throws if the database is newer than this program. `upTo`
 * stops after that number, to create data of that version.
 */
export async function migrate(
  sql: Sql,
  { folder, table, lock }: MigrationSet = MAIN,
  upTo = Infinity,
): Promise<string[]> {
  await sql.script(`select pg_advisory_xact_lock(${lock});
    create table if not exists ${table} (number int primary key, name text not null,
      applied_at timestamptz not null default now())`);
  const known = await readMigrations(folder);
  const seen = await sql.query<{ number: number; name: string }>(`select number, name from ${table} order by number`);
  const foreign = seen.find(({ number }) => !known.some((migration) => migration.number === number));
  if (foreign) {
    throw new Error(`The database has migration "${foreign.name}", which is newer than this program`);
  }
  const applied: string[] = [];
  for (const { number, name, text } of known) {
    if (number > upTo || seen.some((migration) => migration.number === number)) continue;
    // Another node may have been faster: then the unique number fails here.
    const guard =
      `select pg_advisory_xact_lock(${lock}); insert into ${table} (number, name) values (${number}, '${name}');`;
    try {
      await sql.script(`${guard}\n${text}`);
      applied.push(name);
    } catch (error) {
      const [done] = await sql.query(`select 1 from ${table} where number = $1`, [number]);
      if (!done) throw error;
    }
  }
  return applied;
}

/** The migrations of this program, in order. */
export async function readMigrations(folder: URL = MAIN.folder): Promise<Migration[]> {
  const found: Migration[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const number = /^(\d{4})_\w+\.sql$/.exec(name)?.[1];
    if (number) found.push({ number: Number(number), name, text: await Deno.readTextFile(new URL(name, folder)) });
  }
  return found.sort((a, b) => a.number - b.number);
}
