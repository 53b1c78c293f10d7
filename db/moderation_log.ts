import type { Reader } from "./sql.ts";
import type { AccountRole } from "./account_role.ts";

/** The recorded acts. */
export const ACTS = [
  "page.block",
  "page.unblock",
  "page.block_lapsed",
  "account.block",
  "account.unblock",
  "account.block_lapsed",
  "account.role",
  "account.password",
  "account.profile",
  "account.delete",
  "post.delete",
  "report.take",
  "report.release",
  "report.close",
] as const;
export type Act = typeof ACTS[number];
export const TARGETS = ["account", "page", "post", "report"] as const;

/** Who acts and why, as columns of a commit's row. Without an account the system acts. */
export interface ByRow {
  by_id: string | null;
  by_role: AccountRole | null;
  reason: string | null;
}
export const BY_COLUMNS = "by_id uuid, by_role text, reason text";

/**
 * A query for the entries of an act, for `defineCommit`. `from` has the columns of `ByRow`, `at` and `turn`; the others
 * are SQL. Acts of one statement are recorded in the order of their turns.
 */
export function record(
  act: Act,
  { id = "id", name, before = "null::jsonb", after = "null::jsonb", from }: {
    id?: string;
    name: string;
    before?: string;
    after?: string;
    from: string;
  },
): string {
  const [target] = act.split(".");
  return `select turn as place, '${act}' as act, by_id, by_role, reason, '${target}' as target_kind, ${id} as target_id,
    ${name} as target_name, ${before} as before, ${after} as after, at from ${from}`;
}

/** An act on an account that only some turns of a commit are: it is recorded if `after` is given. */
export interface ActRow extends ByRow {
  login: string;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}
export const ACT_COLUMNS = `login text, before jsonb, after jsonb, ${BY_COLUMNS}`;

/** The entries of such acts. `from` has the columns of `ActRow`. */
export function actOn(act: Act, from: string): string {
  return record(act, { name: "login", before: "before", after: "after", from: `${from} where after is not null` });
}

/**
 * The CTEs that add entries to the log. They run after all other writes of the statement except the events, since the
 * row with the end of the chain is the last lock but one. The trigger of the table computes the hashes.
 */
export function recording(records: string, writers: readonly string[] = []): string {
  const after = writers.map((writer) => `(select count(*) from ${writer}) >= 0`).join(" and ") || "true";
  return `entries as materialized (select * from (${records}) n where ${after}),
log_entries as (
  insert into moderation_log (at, act, actor_id, actor_login, actor_role, target_kind, target_id, target_name, reason,
    before, after)
  select n.at, n.act, n.by_id, (select u.login from users u where u.id = n.by_id), coalesce(n.by_role, 'system'),
    n.target_kind,
    n.target_id, n.target_name, n.reason, n.before, n.after
  from entries n order by n.place
  returning seq)`;
}

export interface LogRow {
  seq: number;
  at: string;
  act: Act;
  actor_id: string | null;
  actor_login: string | null;
  actor_role: AccountRole | "system";
  target_kind: typeof TARGETS[number];
  target_id: string;
  target_name: string;
  reason: string | null;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
  hash: string;
}

export interface LogFilter {
  limit: number;
  actor?: string | undefined;
  act?: Act | undefined;
  target?: string | undefined;
  from?: string | undefined;
  /** Exclusive. */
  to?: string | undefined;
  /** Only entries below this number. */
  before?: number | undefined;
}

/** Newest first. */
export async function listLog(
  sql: Reader,
  { limit, actor, act, target, from, to, before }: LogFilter,
): Promise<LogRow[]> {
  return await sql.query<LogRow>(
    `select seq, at, act, actor_id, actor_login, actor_role, target_kind, target_id, target_name, reason, before, after,
      hash
    from moderation_log
    where ($1::uuid is null or actor_id = $1) and ($2::text is null or act = $2)
      and ($3::uuid is null or target_id = $3)
      and ($4::timestamptz is null or at >= $4) and ($5::timestamptz is null or at < $5)
      and ($6::bigint is null or seq < $6)
    order by seq desc limit $7`,
    [actor ?? null, act ?? null, target ?? null, from ?? null, to ?? null, before ?? null, limit],
    "moderation.log",
  );
}

/** A position in the chain, in the format that the verification task prints. */
export interface ChainEnd {
  seq: number;
  hash: string;
}

export type Verdict = { sound: true; end: ChainEnd } | { sound: false; seq: number; problem: string };

interface Link {
  end_seq: number;
  end_hash: string;
  seq: number | null;
  previous: string;
  hash: string;
  computed: string;
}

/** Entries per statement (`docs/limits.md`). */
const VERIFY_BATCH = 1_000;
export const START: ChainEnd = { seq: 0, hash: "0".repeat(64) };

/**
 * Verifies the complete chain in batches, and returns the first entry that was changed. `known` is an end that an
 * earlier verification printed: recomputing all hashes cannot reproduce it.
 */
export async function verifyChain(sql: Reader, known?: ChainEnd, concurrency = VERIFY_BATCH): Promise<Verdict> {
  const broken = (seq: number, problem: string): Verdict => ({ sound: false, seq, problem });
  let last = START;
  for (;;) {
    // The end and the entries from one snapshot, as entries may be added meanwhile.
    const links = await sql.query<Link>(
      `select c.seq as end_seq, c.hash as end_hash, e.seq, e.previous, e.hash, moderation_hash(e) as computed
      from moderation_chain c left join lateral (
        select * from moderation_log e where e.seq > $1 order by e.seq limit $2) e on true
      order by e.seq`,
      [last.seq, concurrency],
      "moderation.verify",
    );
    const [first] = links;
    if (!first) return broken(last.seq, "the row of the chain's end is missing");
    for (const { seq, previous, hash, computed } of links) {
      if (seq === null) break;
      if (seq !== last.seq + 1) return broken(last.seq + 1, "it is missing");
      if (previous !== last.hash) return broken(seq, "it does not follow the entry before it");
      if (hash !== computed) return broken(seq, "it was changed");
      if (known?.seq === seq && known.hash !== hash) return broken(seq, "it is not the one that was known");
      last = { seq, hash };
    }
    if (first.seq !== null && links.length === concurrency) continue;
    const { end_seq, end_hash } = first;
    if (end_seq > last.seq) return broken(last.seq + 1, `it is missing, as are all after it up to ${end_seq}`);
    if (end_seq < last.seq) return broken(end_seq + 1, "it is past the end of the chain");
    if (end_hash !== last.hash) return broken(end_seq, "its hash is not that of the chain's end");
    if (known && known.seq > last.seq) {
      return broken(last.seq + 1, `it is missing, as are all up to the known ${known.seq}`);
    }
    return { sound: true, end: last };
  }
}
