import { type Param, type Reader, SqlError, type Writer } from "./sql.ts";
import { keptList } from "./values.ts";

/** The space that all accounts share. Every other space has the id of its account. */
export const SHARED_SPACE = "00000000-0000-0000-0000-000000000000";

/** An expired pair is invisible, whether it was deleted or not. */
const ALIVE = "(k.expires_at is null or k.expires_at > now())";

export interface ReadPairs {
  /** The inside of a JSON object, `"key":value,…`; null if a key is missing, or the total is too long. */
  pairs: string | null;
  /** The same with versions, if requested. */
  versions: string | null;
  /** Instead of pairs: the existing keys, with the bytes of their values. */
  lengths: [key: string, bytes: number][] | null;
  /** The revision of the space in which all this is current; null if nothing was ever written. */
  revision: number | null;
  /** When the first of the pairs expires. */
  expires_at: string | null;
}

/** The values of all these keys, if they have at most this many bytes. */
export async function readPairs(
  sql: Reader,
  space: string,
  keys: readonly string[],
  { maxBytes, versions }: { maxBytes: number; versions: boolean },
): Promise<ReadPairs> {
  const chosen = `from kv k where k.space = $1 and k.key = any($2::text[]) and ${ALIVE}`;
  // One pass if no value is longer than its share of the limit; otherwise values are fetched once it is known that they
  // fit. What is not requested costs nothing, since a subquery runs only if its branch is taken.
  const [row] = await sql.query<ReadPairs>(
    `select case when fits and longest <= $4 then pairs
        when fits then (select string_agg(to_json(k.key)::text || ':' || k.value, ',') ${chosen}) end as pairs,
      case when fits and $5
        then (select string_agg(to_json(k.key)::text || ':' || k.version, ',') ${chosen}) end as versions,
      case when not fits then (
        select coalesce(json_agg(json_build_array(k.key, octet_length(k.value))), '[]') ${chosen}) end as lengths,
      (select revision from kv_spaces where id = $1) as revision, expires_at
    from (
      select count(*) = cardinality($2::text[]) and coalesce(sum(octet_length(k.value)), 0) <= $3 as fits,
        max(octet_length(k.value)) as longest, min(k.expires_at) as expires_at,
        string_agg(to_json(k.key)::text || ':' || case when octet_length(k.value) <= $4 then k.value end, ',') as pairs
      ${chosen}) found`,
    [space, keys, maxBytes, Math.floor(maxBytes / keys.length), versions],
    "kv.read",
  );
  return row!;
}

/** The revision of a space, and the time. Data of a revision is valid as long as the revision is the same. */
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
  /** The length of the value's JSON text. */
  bytes: number;
  expires_at: string | null;
}

/** The keys with this prefix, in byte order, after a key. */
export async function listKeys(
  sql: Reader,
  space: string,
  { prefix, after, limit }: { prefix: string; after: string | undefined; limit: number },
): Promise<KeyRow[]> {
  // Keys with one prefix are adjacent, so the first without it ends the list.
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
  /** A personal space is deleted with its account; then nothing is written. */
  space: string;
  keys: readonly string[];
  /** As JSON text. */
  values: readonly string[];
  ttlS: number | null;
  /** The receipt of an Idempotency-Key. The write has happened if and only if the receipt has its result. */
  receipt: string | undefined;
}

export interface Written {
  /** The account was deleted. */
  gone: boolean;
  /** The write has happened before, with the same receipt. */
  repeated: boolean;
  /** Keys that were left unchanged. */
  ignored: string[];
  /** Keys with another version, so that nothing was written. */
  changed: string[];
}

/**
 * The batches that may be written: their account exists and their receipt has no result. Then their spaces, created by
 * the first write, are locked and their revisions incremented, so that other writes wait. `locked_batches` has
 * the batches to write.
 */
const LOCKED_BATCHES = `batches as materialized (
  select * from unnest($1::uuid[], $2::uuid[], $3::int[], string_to_array($4, $6), string_to_array($5, $6))
    with ordinality b (space, receipt, ttl_s, keys, vals, batch)),
open_receipts as materialized (
  select id from receipts where id = any($2::uuid[]) and result is null order by id for update),
batch_checks as materialized (
  select b.batch, b.space, b.receipt,
    b.space <> '${SHARED_SPACE}' and (select true from users u where u.id = b.space) is null as gone,
    b.receipt is not null and not exists (select from open_receipts o where o.id = b.receipt) as repeated
  from batches b),
valid_batches as materialized (select * from batch_checks where not gone and not repeated),
spaces as (
  insert into kv_spaces as s (id, owner_id) select distinct space, nullif(space, '${SHARED_SPACE}') from valid_batches
    order by space
  on conflict (id) do update set revision = s.revision + 1 returning s.id, s.revision),
locked_batches as (
  select b.batch, b.space, s.revision, now() + b.ttl_s * interval '1 second' as ends,
    string_to_array(b.keys, $7) as keys, string_to_array(b.vals, $7) as vals
  from valid_batches f join spaces s on s.id = f.space join batches b on b.batch = f.batch)`;
/** When the text is split, a single empty key is missing. */
const KEY = "coalesce(g.key, '')";

/**
 * Writes batches without existing keys. If a key exists, nothing is written and a `constraint` is thrown (`isThere`).
 * This is the common case, and costs Postgres two thirds of `writePairs`.
 */
export async function insertPairs(sql: Writer, batches: readonly PairsToWrite[]): Promise<Written[]> {
  return await written(
    sql,
    batches,
    [],
    "kv.insert",
    `with ${LOCKED_BATCHES},
    written_pairs as (
      insert into kv (space, key, value, version, expires_at)
      select t.space, ${KEY}, g.value, t.revision, t.ends from locked_batches t, unnest(t.keys, t.vals) g (key, value)),
    saved_receipts as (update receipts r set result = '{"ignored": []}' from valid_batches f where r.id = f.receipt)
    select gone, repeated, '[]'::json as ignored, '[]'::json as changed from batch_checks order by batch`,
  );
}

/** Whether an insert failed because a key exists, expired or not. */
export function isThere(error: unknown): boolean {
  return error instanceof SqlError && error.constraint === "kv_pkey";
}

/**
 * Writes batches: of each, the missing keys or all. Of several writers of a new key the first wins. No key of a space
 * may be in two of the batches. Throws a `constraint` if the account of one of several batches is deleted at this
 * moment.
 */
export async function writePairs(
  sql: Writer,
  batches: readonly PairsToWrite[],
  overwrite: boolean,
): Promise<Written[]> {
  return await written(
    sql,
    batches,
    [overwrite, batches.reduce((sum, { keys }) => sum + keys.length, 0)],
    "kv.write",
    `with ${LOCKED_BATCHES},
    written_pairs as (
      insert into kv as k (space, key, value, version, expires_at)
      select t.space, ${KEY}, g.value, t.revision, t.ends from locked_batches t, unnest(t.keys, t.vals) g (key, value)
      on conflict (space, key) do update
        set value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
        where $8 or k.expires_at <= now()
      returning k.space, k.key),
    ignored_keys as materialized (
      select t.batch, json_agg(${KEY} order by g.at) as keys
      from locked_batches t, unnest(t.keys, t.vals) with ordinality g (key, value, at)
      where (select count(*) from written_pairs) < $9
        and not exists (select from written_pairs w where w.space = t.space and w.key = ${KEY})
      group by t.batch),
    saved_receipts as (
      update receipts r set result = jsonb_build_object('ignored', coalesce(o.keys, '[]'))
      from valid_batches f left join ignored_keys o on o.batch = f.batch where r.id = f.receipt)
    select gone, repeated, coalesce(o.keys, '[]') as ignored, '[]'::json as changed
    from batch_checks j left join ignored_keys o on o.batch = j.batch order by j.batch`,
  );
}

/** Writes all keys of a batch if all have their version; otherwise none. */
export async function writeIfVersion(sql: Writer, batch: PairsToWrite, versions: readonly number[]): Promise<Written> {
  // An earlier owner of the lock may have changed rows since this statement began: `for update` reads the current ones.
  const [answer] = await written(
    sql,
    [batch],
    [versions],
    "kv.write_if_version",
    `with ${LOCKED_BATCHES},
    new_pairs as materialized (
      select t.space, ${KEY} as key, g.value, t.revision, t.ends, g.version
      from locked_batches t, unnest(t.keys, t.vals, $8::bigint[]) g (key, value, version)),
    current_pairs as materialized (
      select k.key, k.version from kv k
      where k.space = ($1::uuid[])[1] and k.key in (select key from new_pairs) and ${ALIVE} for update),
    conflicts as materialized (
      select g.key from new_pairs g left join current_pairs h on h.key = g.key
      where h.version is distinct from g.version),
    written_pairs as (
      update kv k set value = g.value, version = g.revision, expires_at = g.ends
      from new_pairs g where k.space = g.space and k.key = g.key and not exists (select from conflicts)),
    saved_receipts as (
      update receipts r set result = '{"ignored": []}' from valid_batches f
      where r.id = f.receipt and not exists (select from conflicts))
    select gone, repeated, '[]'::json as ignored, (select coalesce(json_agg(key), '[]') from conflicts) as changed
      from batch_checks`,
  );
  return answer!;
}

async function written(
  sql: Writer,
  batches: readonly PairsToWrite[],
  more: readonly Param[],
  name: string,
  text: string,
): Promise<Written[]> {
  const [between, within] = separators(batches);
  const params = [
    keptList(batches.map(({ space }) => space)),
    keptList(batches.map(({ receipt }) => receipt ?? null)),
    keptList(batches.map(({ ttlS }) => ttlS)),
    batches.map(({ keys }) => keys.join(within)).join(between),
    batches.map(({ values }) => values.join(within)).join(between),
    between,
    within,
    ...more,
  ];
  try {
    return await sql.execute<Written>(text, params, name);
  } catch (error) {
    // The account was deleted during its first write.
    const gone = error instanceof SqlError && error.constraint === "kv_spaces_owner_id_fkey" && batches.length === 1;
    if (!gone) throw error;
    return [{ gone, repeated: false, ignored: [], changed: [] }];
  }
}

/**
 * Separators between batches, and between the keys or values of one: array parameters would have each text escaped here
 * and unescaped there. JSON text never contains these characters unescaped. For keys that contain them, random
 * separators are used.
 */
function separators(batches: readonly PairsToWrite[]): [between: string, within: string] {
  const isHeld = batches.some(({ keys }) => {
    const text = keys.join("");
    return text.includes("\x1d") || text.includes("\x1e");
  });
  const tail = isHeld ? crypto.randomUUID() : "";
  return [`\x1d${tail}`, `\x1e${tail}`];
}

/** Deletes these keys; returns those that existed. */
export async function deletePairs(sql: Writer, space: string, keys: readonly string[]): Promise<string[]> {
  const rows = await sql.execute<{ key: string }>("select key from kv_delete($1, $2)", [space, keys], "kv.delete");
  return rows.map(({ key }) => key);
}

/** Deletes expired pairs, up to a maximum; returns the number. */
export async function prunePairs(sql: Writer, most: number): Promise<number> {
  // They are invisible already, so the revision stays. A pair that is written at this moment is skipped without
  // waiting.
  const rows = await sql.execute(
    `with expired_pairs as materialized (
      select space, key from kv where expires_at <= now() order by expires_at limit $1 for update skip locked)
    delete from kv k using expired_pairs e where k.space = e.space and k.key = e.key returning 1`,
    [most],
    "kv.sweep",
  );
  return rows.length;
}
