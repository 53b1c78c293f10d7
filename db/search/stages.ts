/** The stages of a search, in order, and the rank of their hits. */
export type Section = "pages" | "users";

/** Maximum of rows by prefix, from each index (`docs/limits.md`). */
const MAX_PREFIX_ROWS = 300;
/** Maximum of rows that contain all words. */
const MAX_WORD_ROWS = 600;
/** The number of most followed pages that are checked in addition. */
export const MAX_POPULAR = 400;

export interface Source {
  table: string;
  /** The key, there and in `popular_pages`. */
  id: string;
  /** The columns that are matched by prefix; that of the handle is first. */
  keys: readonly string[];
  /** What the viewer may find, as `f`. */
  findable: string;
}

export const SOURCES = {
  pages: {
    table: "page_search",
    id: "page_id",
    keys: ["handle_key", "name_key"],
    findable: "findable_pages($1, $2) f",
  },
  users: {
    table: "user_search",
    id: "user_id",
    keys: ["handle_key", "name_key", "surname_key"],
    findable: "findable_users($1, $2) f",
  },
} satisfies Record<Section, Source>;

/** One way to find rows `s`. Each takes what the earlier ones leave. */
export interface Stage {
  name: string;
  /** Inputs of the rank besides the row. */
  by: string;
  /** The rank of a row, lower is better; null if it does not match, or an earlier stage has it. */
  rank: string;
  mostRank: number;
  /** Corrects spelling: not if all words are known and they found something. */
  corrects: boolean;
  /** Candidate rows, from an index each; a full result may be incomplete. */
  from: string[];
  cut: number;
}

export function stagesOf({ table, keys }: Source): Stage[] {
  const begins = keys.map((key) => `starts_with(s.${key}, a.key)`).join(" or ");
  const equals = keys.slice(1).map((key) => `s.${key} = a.key`).join(" or ");
  const typed = `${begins} or s.words @@ a.words or s.words @@ a.prefix`;
  const of = (weights: string) => `ts_filter(s.words, '{${weights}}') @@ a.words`;
  // In the order of the index, and no further than needed. A single-ended `any`, since the planner considers a range
  // small, and would sort all of it.
  const beginning = (key: string) =>
    `${table} s where s.${key} >= (select key from search_input)
        and s.${key} < any(array[(select key_end from search_input)])
      order by s.${key} limit ${MAX_PREFIX_ROWS}`;
  // Separate from the limit, which would make the planner prefer a scan of the table.
  const holding = (words: string) =>
    `(select * from ${table} where words @@ (${words}) offset 0) s limit ${MAX_WORD_ROWS}`;
  return [{
    name: "prefix",
    by: "search_input a",
    // Complete words before parts of words.
    rank: `case when s.handle = a.handle then 0 when s.handle_key = a.key then 1 when ${equals} then 2
      when ${begins} then case when ${of("a")} then 3 else 4 end end`,
    mostRank: 4,
    corrects: false,
    from: keys.map(beginning),
    cut: MAX_PREFIX_ROWS,
  }, {
    name: "words",
    by: "search_input a",
    // Handle and name; these and the tags; anything.
    rank: `case when ${begins} then null when ${of("a")} then 5 when ${
      of("a,b")
    } then 6 when s.words @@ a.words then 7 end`,
    mostRank: 7,
    corrects: false,
    from: [holding("select words from search_input")],
    cut: MAX_WORD_ROWS,
  }, {
    name: "word_prefix",
    by: "search_input a",
    rank: `case when ${begins} or s.words @@ a.words then null when s.words @@ a.prefix then 8 end`,
    mostRank: 8,
    corrects: false,
    from: [holding("select prefix from search_input")],
    cut: MAX_WORD_ROWS,
  }, {
    name: "nearest_corrections",
    by: "search_input a, corrections m",
    rank: `case when ${typed} then null when s.words @@ m.nearest then 9 end`,
    mostRank: 9,
    corrects: true,
    from: [holding("select nearest from corrections")],
    cut: MAX_WORD_ROWS,
  }, {
    name: "near_corrections",
    by: "search_input a, corrections m",
    rank: `case when ${typed} or s.words @@ m.nearest then null when s.words @@ m.near then 10 end`,
    mostRank: 10,
    corrects: true,
    from: [holding("select near from corrections")],
    cut: MAX_WORD_ROWS,
  }];
}
