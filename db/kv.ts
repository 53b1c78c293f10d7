import { type Param, type Reader, type Sql, SqlError } from "./sql.ts";

/** The space that all accounts share; every other is named by its account's id. */
export const SHARED_SPACE = "00000000-0000-0000-0000-000000000000";

/** No JSON text holds this character as it is, so texts joined by it need no escaping. */
const SEPARATOR = "\x1e";
const SEPARATOR_SQL = "U&'\\001E'";
/** What has expired is there for nobody, whether it was swept or not. */
const ALIVE = "(k.expires_at is null or k.expires_at > now())";

export interface ReadPairs {
  /** The inside of a JSON object, `"key":value,…`; null where a key is missing, or all are too long together. */
  pairs: string | null;
  /** The same with versions, where they were asked for. */
  versions: string | null;
  /** Instead of pairs: the keys that there are, with the bytes of their values. */
  lengths: [key: string, bytes: number][] | null;
  /** Of the space, at which all this holds; null where nothing was ever written. */
  revision: number | null;
  /** When the first of the pairs expires. */
  expires_at: string | null;
}

/** The values of all these keys, if they take at most so many bytes. */
export async function readPairs(
  sql: Reader,
  space: string,
  keys: readonly string[],
  { mostBytes, versions }: { mostBytes: number; versions: boolean },
): Promise<ReadPairs> {
  const chosen = `from kv k where k.space = $1 and k.key = any($2::text[]) and ${ALIVE}`;
  // In one pass, where no value is longer than its share of the answer; otherwise the values are fetched when it is known that they
  // fit. What is not asked for costs nothing, since a subquery runs only where its branch is taken.
  const [row] = await sql.query<ReadPairs>(
    `select case when fits and longest <= $4 then pairs
        when fits then (select string_agg(to_json(k.key)::text || ':' || k.value, ',') ${chosen}) end as pairs,
      case when fits and $5 then (select string_agg(to_json(k.key)::text || ':' || k.version, ',') ${chosen}) end as versions,
      case when not fits then (
        select coalesce(json_agg(json_build_array(k.key, octet_length(k.value))), '[]') ${chosen}) end as lengths,
      (select revision from kv_spaces where id = $1) as revision, expires_at
    from (
      select count(*) = cardinality($2::text[]) and coalesce(sum(octet_length(k.value)), 0) <= $3 as fits,
        max(octet_length(k.value)) as longest, min(k.expires_at) as expires_at,
        string_agg(to_json(k.key)::text || ':' || case when octet_length(k.value) <= $4 then k.value end, ',') as pairs
      ${chosen}) found`,
    [space, keys, mostBytes, Math.floor(mostBytes / keys.length), versions],
    "kv.read",
  );
  return row!;
}

/** The revision of a space, and the time: what is known as of a revision holds as long as it is the same. */
export async function revisionOf(sql: Reader, space: string): Promise<{ revision: number; at: string } | undefined> {
  const [row] = await sql.query<{ revision: number; at: string }>(
    "select revision, now() as at from kv_spaces where id = $1",
    [space],
    "kv.revision",
  );
  return row;
}

export interface KeyRow {
  key: string;
  version: number;
  /** Of the value's JSON text. */
  bytes: number;
  expires_at: string | null;
}

/** The keys with this beginning, in the order of their bytes, after the one given. */
export async function listKeys(
  sql: Reader,
  space: string,
  { prefix, after, limit }: { prefix: string; after: string | undefined; limit: number },
): Promise<KeyRow[]> {
  // Keys with one beginning stand together, so the first without it ends the list.
  return await sql.query<KeyRow>(
    `select * from (
      select k.key, k.version, octet_length(k.value) as bytes, k.expires_at from kv k
      where k.space = $1 and k.key >= $2 and ($3::text is null or k.key > $3) and ${ALIVE}
      order by k.key limit $4) next
    where starts_with(key, $2) order by key`,
    [space, prefix, after ?? null, limit],
    "kv.list",
  );
}

export interface PairsToWrite {
  /** Who writes; the account must still be there. */
  owner: string;
  space: string;
  keys: readonly string[];
  /** As JSON text. */
  values: readonly string[];
  ttlS: number | null;
  /** Of an Idempotency-Key; the write has happened if and only if it is in there. */
  receipt: string | undefined;
}

export interface Written {
  /** The account is gone. */
  gone: boolean;
  /** The write has happened before, under the same receipt. */
  repeated: boolean;
  /** Keys that were left as they are. */
  ignored: string[];
  /** Keys that were not at their version, so that nothing was written. */
  changed: string[];
}

/**
 * The space, if its account is there and the receipt tells of no effect yet: made by the first write, and from then on taken and
 * counted up, so that every other write waits. `$1` is the account, `$2` the receipt, `$4` the space.
 */
const TAKEN = `open as materialized (select from receipts where id = $2 and result is null for update),
account as materialized (select id from users where id = $1),
space as (
  insert into kv_spaces as s (id, owner_id) select $4, nullif($4, '${SHARED_SPACE}'::uuid) from account
  where $2::uuid is null or exists (select from open)
  on conflict (id) do update set revision = s.revision + 1 returning s.revision)`;
const REVISION = "(select revision from space)";
const ENDS = "now() + $3::int * interval '1 second'";
const GIVEN = `unnest($5::text[], string_to_array($6, ${SEPARATOR_SQL})`;
const WHAT_CAME =
  "not exists (select from account) as gone, exists (select from account) and not exists (select from space) as repeated";

/** Writes those that are not there, or all of them. Of several writers of a new key the first one wins. */
export async function writePairs(sql: Sql, write: PairsToWrite & { overwrite: boolean }): Promise<Written> {
  return await written(
    sql,
    "kv.write",
    `with ${TAKEN},
    written as (
      insert into kv as k (space, key, value, version, expires_at)
      select $4, g.key, g.value, ${REVISION}, ${ENDS} from ${GIVEN}) g (key, value) where exists (select from space)
      on conflict (space, key) do update
        set value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
        where $7 or k.expires_at <= now()
      returning key),
    answer as materialized (
      select case when (select count(*) from written) = cardinality($5::text[]) then '[]' else (
        select coalesce(json_agg(g.key order by g.at), '[]') from unnest($5::text[]) with ordinality g (key, at)
        where not exists (select from written w where w.key = g.key)) end as ignored),
    receipted as (
      update receipts set result = jsonb_build_object('ignored', a.ignored) from answer a
      where id = $2 and exists (select from space))
    select ${WHAT_CAME}, ignored, '[]'::json as changed from answer`,
    [...params(write), write.overwrite],
  );
}

/** Writes all of these keys if each is at its version; if one is not, none. */
export async function writeIfVersion(
  sql: Sql,
  write: PairsToWrite & { versions: readonly number[] },
): Promise<Written> {
  // Who had the space before may have changed rows since this statement began: `for update` has what holds now.
  return await written(
    sql,
    "kv.write_if_version",
    `with ${TAKEN},
    given as materialized (select * from ${GIVEN}, $7::bigint[]) g (key, value, version)),
    held as materialized (
      select k.key, k.version from kv k
      where k.space = $4 and k.key = any($5::text[]) and ${ALIVE} and exists (select from space) for update),
    changed as materialized (
      select g.key from given g left join held h on h.key = g.key where h.version is distinct from g.version),
    written as (
      update kv k set value = g.value, version = ${REVISION}, expires_at = ${ENDS}
      from given g where k.space = $4 and k.key = g.key and exists (select from space) and not exists (select from changed)),
    receipted as (
      update receipts set result = '{"ignored": []}'
      where id = $2 and exists (select from space) and not exists (select from changed))
    select ${WHAT_CAME}, '[]'::json as ignored, (select coalesce(json_agg(key), '[]') from changed) as changed`,
    [...params(write), write.versions],
  );
}

function params({ owner, receipt, ttlS, space, keys, values }: PairsToWrite): Param[] {
  return [owner, receipt ?? null, ttlS, space, keys, values.join(SEPARATOR)];
}

async function written(sql: Sql, name: string, text: string, params: Param[]): Promise<Written> {
  try {
    return (await sql.query<Written>(text, params, name))[0]!;
  } catch (error) {
    // The account went while its first write was under way.
    if (!(error instanceof SqlError) || error.constraint !== "kv_spaces_owner_id_fkey") throw error;
    return { gone: true, repeated: false, ignored: [], changed: [] };
  }
}

/** Deletes these keys; tells those that were there. */
export async function deletePairs(sql: Sql, space: string, keys: readonly string[]): Promise<string[]> {
  const rows = await sql.query<{ key: string }>(
    `with space as (update kv_spaces set revision = revision + 1 where id = $1 returning 1)
    delete from kv k where k.space = $1 and k.key = any($2::text[]) and ${ALIVE} and exists (select from space)
    returning k.key`,
    [space, keys],
    "kv.delete",
  );
  return rows.map(({ key }) => key);
}

/** Removes what has expired, at most so many; tells how many went. */
export async function sweepPairs(sql: Sql, most: number): Promise<number> {
  // Nobody sees it, so no revision counts it. What is written anew at this moment is left out, and nobody is waited for.
  const rows = await sql.query(
    `with expired as materialized (
      select space, key from kv where expires_at <= now() order by expires_at limit $1 for update skip locked)
    delete from kv k using expired e where k.space = e.space and k.key = e.key returning 1`,
    [most],
    "kv.sweep",
  );
  return rows.length;
}
