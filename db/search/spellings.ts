import type { Writer } from "../sql.ts";

/** Words checked per batch. */
export const SPELLING_BATCH = 500;

/**
 * Deletes known spellings that no page or person uses any more, one batch at a time. Returns the last word checked,
 * from which to continue, or nothing at the end, and the number deleted. A word that comes into use at this moment may
 * be deleted too: typing errors in it are corrected again after it is written the next time.
 */
export async function pruneSpellings(sql: Writer, after: string): Promise<{ last: string; deleted: number }> {
  const [row] = await sql.execute<{ last: string | null; deleted: number }>(
    `with checked_words as materialized (select word from spellings where word > $1
      order by word limit ${SPELLING_BATCH}),
    deleted_words as (
      delete from spellings where word in (
        select word from checked_words l
        where not exists (select from page_search s where s.words @@ quote_literal(l.word)::tsquery)
          and not exists (select from user_search s where s.words @@ quote_literal(l.word)::tsquery))
      returning word)
    select (select max(word) from checked_words) as last, (select count(*) from deleted_words) as deleted`,
    [after],
    "search.forget_spellings",
  );
  return { last: row?.last ?? "", deleted: row?.deleted ?? 0 };
}
