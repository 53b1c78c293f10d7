/** Where a search looks, one place after another, and how well what is there fits. */
export type Section = "pages" | "users";

/** Rows that what was typed may be the beginning of, from each index of beginnings (`docs/limits.md`). */
const MAX_BEGUN = 300;
/** Rows that hold all its words. */
const MAX_HOLDING = 600;
/** The most followed pages that are looked through besides. */
export const MAX_POPULAR = 400;

export interface Source {
  table: string;
  /** Its key, there and in `popular_pages`. */
  id: string;
  /** The columns that what was typed may be the beginning of; the handle's is the first. */
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

/** One way of finding rows `s`; each takes what those before it leave. */
export interface Stage {
  name: string;
  /** What the rank is told from besides the row. */
  by: string;
  /** How well a row fits, less is better; null where it does not, or where an earlier stage has it. */
  rank: string;
  mostRank: number;
  /** Takes words for misspelled: not where all of them are known, and something was found by them. */
  mends: boolean;
  /** Rows that may fit, from an index each; so many rows of one may not be all. */
  from: string[];
  cut: number;
}

export function stagesOf({ table, keys }: Source): Stage[] {
  const begins = keys.map((key) => `starts_with(s.${key}, a.key)`).join(" or ");
  const equals = keys.slice(1).map((key) => `s.${key} = a.key`).join(" or ");
  const typed = `${begins} or s.words @@ a.words or s.words @@ a.begun`;
  const of = (weights: string) => `ts_filter(s.words, '{${weights}}') @@ a.words`;
  // In the order of the index, and no further than needed. `any` of one end, since the planner takes a range between two for a small one, and
  // would sort all of it.
  const beginning = (key: string) =>
    `${table} s where s.${key} >= (select key from asked) and s.${key} < any(array[(select key_end from asked)])
      order by s.${key} limit ${MAX_BEGUN}`;
  // Apart from the limit, by which the planner would take reading the whole table for cheap.
  const holding = (words: string) =>
    `(select * from ${table} where words @@ (${words}) offset 0) s limit ${MAX_HOLDING}`;
  return [{
    name: "begins",
    by: "asked a",
    // Whole words before parts of one.
    rank: `case when s.handle = a.handle then 0 when s.handle_key = a.key then 1 when ${equals} then 2
      when ${begins} then case when ${of("a")} then 3 else 4 end end`,
    mostRank: 4,
    mends: false,
    from: keys.map(beginning),
    cut: MAX_BEGUN,
  }, {
    name: "holds",
    by: "asked a",
    // Handle and name; these and the tags; anything.
    rank: `case when ${begins} then null when ${of("a")} then 5 when ${
      of("a,b")
    } then 6 when s.words @@ a.words then 7 end`,
    mostRank: 7,
    mends: false,
    from: [holding("select words from asked")],
    cut: MAX_HOLDING,
  }, {
    name: "holds_begun",
    by: "asked a",
    rank: `case when ${begins} or s.words @@ a.words then null when s.words @@ a.begun then 8 end`,
    mostRank: 8,
    mends: false,
    from: [holding("select begun from asked")],
    cut: MAX_HOLDING,
  }, {
    name: "holds_nearest",
    by: "asked a, mended m",
    rank: `case when ${typed} then null when s.words @@ m.nearest then 9 end`,
    mostRank: 9,
    mends: true,
    from: [holding("select nearest from mended")],
    cut: MAX_HOLDING,
  }, {
    name: "holds_near",
    by: "asked a, mended m",
    rank: `case when ${typed} or s.words @@ m.nearest then null when s.words @@ m.near then 10 end`,
    mostRank: 10,
    mends: true,
    from: [holding("select near from mended")],
    cut: MAX_HOLDING,
  }];
}
