import type { Sql } from "./sql.ts";

/** The tables whose rows change or go, the busiest first. */
const BUSY = [
  "sequencer",
  "like_signals",
  "partitions",
  "jobs",
  "sessions",
  "pages",
  "posts",
  "follows",
  "likes",
  "popular_pages",
  "receipts",
  "photos",
  "unowned_files",
  "page_search",
  "user_search",
  "spellings",
  "kv_spaces",
  "kv",
  "moderation_chain",
  "reports",
  "events",
  "page_days",
];

/**
 * What a real server's autovacuum does: the embedded database has none, so without this its tables only grow and its plans are
 * those of empty ones. One table at a time, since everything else waits meanwhile.
 */
export async function vacuum(sql: Sql): Promise<void> {
  for (const table of BUSY) await sql.query(`vacuum (analyze) ${table}`);
}
