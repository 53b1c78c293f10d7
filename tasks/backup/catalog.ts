import { readMigrations } from "../../db/migrate.ts";
import type { Reader } from "../../db/sql.ts";
import { LEFT_OUT } from "./manifest.ts";

/** Quotes names for SQL. They come from the catalogue or were checked against it. */
export function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}

/** Excludes objects that belong to an extension. */
const OURS = (catalogue: string, relation: string) =>
  `not exists (select from pg_depend x
    where x.classid = '${catalogue}'::regclass and x.objid = ${relation}.oid and x.deptype = 'e')`;
const TABLES = `pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and ${
  OURS("pg_class", "c")
}`;

/** The tables of a backup with their columns. Generated columns are left out: the database computes them. */
export async function storedTables(
  sql: Reader,
  leftOut: readonly string[] = Object.keys(LEFT_OUT),
): Promise<Map<string, string[]>> {
  const rows = await sql.query<{ name: string; columns: string[] }>(
    `select c.relname as name, array(select a.attname::text from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      order by a.attnum) as columns
    from ${TABLES} and c.relname <> all ($1::text[]) order by c.relname`,
    [leftOut],
  );
  return new Map(rows.map(({ name, columns }) => [name, columns]));
}

export async function storedSequences(sql: Reader): Promise<string[]> {
  const rows = await sql.query<{ name: string }>(
    `select c.relname as name from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'S' and ${OURS("pg_class", "c")} order by c.relname`,
  );
  return rows.map(({ name }) => name);
}

/** All tables, including those that are left out of a backup. */
export async function allTables(sql: Reader): Promise<string[]> {
  return (await sql.query<{ name: string }>(`select c.relname as name from ${TABLES}`)).map(({ name }) => name);
}

/**
 * Throws if there are tables that no migration makes: a backup could not be restored with them, and a restore would
 * drop them.
 */
export async function checkOwn(sql: Reader): Promise<void> {
  const tables = await allTables(sql);
  if (tables.length === 0) return;
  const known = await readMigrations();
  const applied = tables.includes("migrations")
    ? await sql.query<{ number: number }>("select number from migrations")
    : [];
  // Tables made by a newer version belong to Rookery, too.
  if (applied.some(({ number }) => !known.some((migration) => migration.number === number))) return;
  const made = new Set(
    known.flatMap(({ text }) => [...text.matchAll(/^create table (\w+)/gm)].map(([, name]) => name)),
  );
  const foreign = tables.filter((table) => table !== "migrations" && !made.has(table));
  if (foreign.length === 0) return;
  throw new Error(`The database has tables that are not Rookery's: ${foreign.slice(0, 5).join(", ")}`);
}

/** The tables in order of their foreign keys: each after those that it references. */
export async function inOrder(sql: Reader, tables: readonly string[]): Promise<string[]> {
  const links = await sql.query<{ from: string; to: string }>(
    `select f.relname as from, t.relname as to from pg_constraint c join pg_class f on f.oid = c.conrelid
      join pg_class t on t.oid = c.confrelid
    where c.contype = 'f' and c.connamespace = 'public'::regnamespace and c.conrelid <> c.confrelid`,
  );
  const ordered: string[] = [];
  let left = [...tables];
  while (left.length > 0) {
    const free = left.filter((table) => !links.some(({ from, to }) => from === table && left.includes(to)));
    if (free.length === 0) throw new Error(`The foreign keys of ${left.join(", ")} form a cycle`);
    ordered.push(...free);
    left = left.filter((table) => !free.includes(table));
  }
  return ordered;
}

/** Drops everything that migrations made in the schema `public`. The schema, its grants and extensions stay. */
export const DROP_ALL = `do $$
declare
  one record;
begin
  for one in select c.relname from ${TABLES} loop
    execute format('drop table if exists public.%I cascade', one.relname);
  end loop;
  for one in select c.relname from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'S' and ${OURS("pg_class", "c")} loop
    execute format('drop sequence if exists public.%I cascade', one.relname);
  end loop;
  for one in select p.oid::regprocedure as routine from pg_proc p
    where p.pronamespace = 'public'::regnamespace and ${OURS("pg_proc", "p")} loop
    execute format('drop routine if exists %s cascade', one.routine);
  end loop;
end $$`;
