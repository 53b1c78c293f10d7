import type { Sql } from "./sql.ts";

/** A set of migrations; a service of its own has one of its own. */
export interface MigrationSet {
  folder: URL;
  /** Where it is written down which were applied. */
  table: string;
  /** Any number, the same everywhere: whoever migrates holds this lock. */
  lock: number;
}

/** Of the installation's own tables. */
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
 * Applies the numbered migrations that this database has not seen, each all or nothing, under a lock, so that any number of nodes
 * may start at once. Returns the names of those applied. Throws where the database is newer than this program. `upTo` stops after
 * that number, for data of that time.
 */
export async function migrate(
  sql: Sql,
  { folder, table, lock }: MigrationSet = MAIN,
  upTo = Infinity,
): Promise<string[]> {
  await sql.script(`select pg_advisory_xact_lock(${lock});
    create table if not exists ${table} (number int primary key, name text not null, applied_at timestamptz not null default now())`);
  const known = await readMigrations(folder);
  const seen = await sql.query<{ number: number; name: string }>(`select number, name from ${table} order by number`);
  const foreign = seen.find(({ number }) => !known.some((migration) => migration.number === number));
  if (foreign) {
    throw new Error(`The database has migration "${foreign.name}", which this program does not know: it is older`);
  }
  const applied: string[] = [];
  for (const { number, name, text } of known) {
    if (number > upTo || seen.some((migration) => migration.number === number)) continue;
    // Another node may have been faster: then the unique number turns this one back.
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

/** Those this program knows, in their order. */
export async function readMigrations(folder: URL = MAIN.folder): Promise<Migration[]> {
  const found: Migration[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const number = /^(\d{4})_\w+\.sql$/.exec(name)?.[1];
    if (number) found.push({ number: Number(number), name, text: await Deno.readTextFile(new URL(name, folder)) });
  }
  return found.sort((a, b) => a.number - b.number);
}
