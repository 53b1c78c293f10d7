import type { Sql } from "../sql.ts";

/** Words looked at in one bite. */
export const SPELLING_BATCH = 500;

/**
 * Forgets known spellings that no page or person bears any more, a bite at a time: tells the last word it looked at, which is where to go on, or
 * nothing at the end; and how many it forgot. A word that somebody takes up in this very moment may be forgotten, too: then typing
 * errors in it are forgiven again from the next time it is written.
 */
export async function pruneSpellings(sql: Sql, after: string): Promise<{ last: string; forgotten: number }> {
  const [row] = await sql.query<{ last: string | null; forgotten: number }>(
    `with looked as materialized (select word from spellings where word > $1 order by word limit ${SPELLING_BATCH}),
    gone as (
      delete from spellings where word in (
        select word from looked l
        where not exists (select from page_search s where s.words @@ quote_literal(l.word)::tsquery)
          and not exists (select from user_search s where s.words @@ quote_literal(l.word)::tsquery))
      returning word)
    select (select max(word) from looked) as last, (select count(*) from gone) as forgotten`,
    [after],
    "search.forget_spellings",
  );
  return { last: row?.last ?? "", forgotten: row?.forgotten ?? 0 };
}
