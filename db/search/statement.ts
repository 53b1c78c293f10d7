/**
 * The statement of a search. Parameters: 1 the viewer, 2 whether only verified people are found, 3 the typed text, 4
 * the maximum of hits per section, 5–7 rank, followers and id to continue after, 8 the last digits of ids that were
 * shown. Every step is limited, however much matches (`docs/decisions/0013-search.md`): each index returns its first
 * rows; if these are incomplete, the most followed pages are checked too; other spellings are tried only if hits are
 * few.
 */
import { SHOWN } from "../pages.ts";
import { MAX_POPULAR, type Section, SOURCES, type Stage, stagesOf } from "./stages.ts";

/** Words of a search that may be misspelled, and known words that each may mean. */
const MAX_CORRECTED_WORDS = 3;
const MAX_CANDIDATES = 6;

/** The typed text in the forms that the indexes use, and related values. */
const SEARCH_INPUT = `search_input as materialized (
  select ltrim(lower($3), '@#') as handle, key, key || chr(1114111) as key_end, grams,
    (spelled && grams) || (stemmed && grams) as words,
    -- The last word may be a prefix, if it is long enough; after other words in any form.
    case when length(key) > 2 and numnode(spelled) > 0 then case
      when numnode(stemmed) > 1 then (spelled::text || ':*')::tsquery || (stemmed::text || ':*')::tsquery
      else (spelled::text || ':*')::tsquery end && grams end as prefix,
    not exists (select from unnest(string_to_array(search_fold(search_spaced($3)), ' ')) w (word)
      where length(word) between 4 and 40 and not exists (select from spellings s where s.word = w.word)) as known,
    $4::int as most, $5::int as after_rank, -$6::int as after_followers, $7::uuid as after_id, $8::text[] as seen
  -- Text without spaces is searched by its grams, everything else by its words.
  from (select search_key($3) as key, search_asked($3) as grams,
    plainto_tsquery('simple', search_fold(search_spaced($3))) as spelled,
    plainto_tsquery('russian', search_lower(search_spaced($3))) as stemmed) a)`;

/**
 * The same with the longest words corrected: each replaced by the nearest known word, and by any near one. Most typing
 * errors are below the default threshold, so it is set, for this statement only, before the spellings are read: the
 * word to look up comes from the same row. Two swapped letters leave few trigrams in common and are tried separately.
 * Shorter words are left out.
 */
const CORRECTIONS = `input_words as materialized (
  select word, place, place <= ${MAX_CORRECTED_WORDS} as correctable, least_like,
    set_config('pg_trgm.similarity_threshold', (min(least_like) over ())::text, true),
    array(select overlay(word placing reverse(substr(word, i, 2)) from i for 2)
      from generate_series(1, length(word) - 1) i) as transpositions
  from (
    select word, row_number() over (order by length(word) desc, word) as place,
      case length(word) when 4 then 0.25 when 5 then 0.3 else 0.4 end::real as least_like
    from unnest(string_to_array(search_fold(search_spaced($3)), ' ')) w (word) where length(word) between 4 and 40) w),
candidate_words as (
  select w.place, quote_literal(n.word) as word, n.nearness, max(n.nearness) over (partition by w.place) as nearest
  from input_words w cross join lateral (
    select word, max(nearness) as nearness from (
      (select s.word, similarity(s.word, w.word) from spellings s
        where w.correctable and s.word % w.word and similarity(s.word, w.word) >= w.least_like
        order by similarity(s.word, w.word) desc, s.word limit ${MAX_CANDIDATES})
      union all select s.word, 0.7 from spellings s where w.correctable and s.word = any(w.transpositions)
      union all select w.word, 0) c (word, nearness)
    group by word) n),
corrections as materialized (
  select string_agg(nearest, ' & ')::tsquery && (select grams from search_input) as nearest,
    string_agg(near, ' & ')::tsquery && (select grams from search_input) as near from (
    select '(' || string_agg(word, '|') filter (where nearness = nearest) || ')' as nearest,
      '(' || string_agg(word, '|') || ')' as near
    -- Not much less similar than the nearest. A word that is known itself is unlikely to mean a very different one.
    from candidate_words where nearness >= nearest * 2 / 3 group by place) m)`;

/** The hits of a stage in a section, in its order; runs only if earlier stages found too little. */
function found(section: Section, stage: Stage, before: readonly string[], typed: readonly string[]): string {
  const { table, id, findable } = SOURCES[section];
  const { by, rank, from, cut, mostRank, corrects } = stage;
  const name = `${section}_${stage.name}`;
  const rows = from.map((rows, i) => `(select s.${id} as id, ${rank} as rank, ${i} as source from ${by}, ${rows})`);
  const count = (names: readonly string[]) => names.map((name) => `(select count(*) from ${name})`).join(" + ") || "0";
  const conditions = [
    `coalesce((select after_rank from search_input), 0) <= ${mostRank}`,
    `${count(before)} < (select most from search_input)`,
    ...corrects ? [`(not (select known from search_input) or ${count(typed)} = 0)`] : [],
  ];
  // Row by row, by their keys (`limit 1`): the planner would scan the tables.
  return `${name}_rows as materialized (
  select * from (${rows.join(" union all ")}) r where ${conditions.join(" and ")}),
${name} as materialized (
  select c.* from (
    select c.id, c.rank, coalesce(n.followers, 0) as followers from (
      select id, rank from ${name}_rows
      union select r.* from (
        select ${id} from popular_pages
        where ${id} is not null and exists (select from ${name}_rows group by source having count(*) = ${cut})
        order by followers desc, ${id} limit ${MAX_POPULAR}) top
      cross join lateral (select s.${id}, ${rank} from ${by}, ${table} s where s.${id} = top.${id} limit 1) r) c
    left join lateral (select n.followers from popular_pages n where n.${id} = c.id limit 1) n on true
    cross join search_input a
    where c.rank is not null and (a.after_rank is null or right(c.id::text, 8) <> all(a.seen)
      and (c.rank, -coalesce(n.followers, 0), c.id) > (a.after_rank, a.after_followers, a.after_id))
    order by c.rank, coalesce(n.followers, 0) desc, c.id) c
  cross join lateral (select from ${findable} where f.id = c.id limit 1) f
  order by c.rank, c.followers desc, c.id limit (select most from search_input))`;
}

function statement(...sections: Section[]): string {
  const parts = [SEARCH_INPUT, CORRECTIONS];
  const names: Record<Section, string[]> = { pages: [], users: [] };
  const typed: string[] = [];
  // Whether anything was found as typed depends on both sections.
  for (const corrects of [false, true]) {
    for (const section of sections) {
      for (const stage of stagesOf(SOURCES[section]).filter((stage) => stage.corrects === corrects)) {
        parts.push(found(section, stage, names[section], typed));
        names[section].push(`${section}_${stage.name}`);
        if (!corrects) typed.push(`${section}_${stage.name}`);
      }
    }
  }
  const results = sections.map((section) => {
    const all = names[section].map((name) => `select * from ${name}`).join(" union all ");
    return `(select '${section}' as section, h.* from (${all}) h
    order by h.rank, h.followers desc, h.id limit (select most from search_input))`;
  });
  return `with ${parts.join(",\n")}
select h.section, h.rank, h.followers, ${SHOWN}
from (${results.join(" union all ")}) h
left join pages p on h.section = 'pages' and p.id = h.id
join users u on u.id = coalesce(p.owner_id, h.id)
order by h.section, h.rank, h.followers desc, h.id`;
}

export const SEARCH_STATEMENTS = {
  all: statement("pages", "users"),
  pages: statement("pages"),
  users: statement("users"),
};
