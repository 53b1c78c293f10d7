import type { ShownPageRow } from "../pages.ts";
import { SEARCH_STATEMENTS } from "./statement.ts";
import type { Reader } from "../sql.ts";
import type { CardRow } from "../users.ts";
import type { Section } from "./stages.ts";

/** The position of a hit in its section: rank (lower is better), then followers, then id. */
export interface Place {
  rank: number;
  followers: number;
  id: string;
}

export interface Search {
  q: string;
  sections: readonly Section[];
  /** Maximum of hits in each section. */
  limit: number;
  after?: Place | undefined;
  /**
   * The last eight digits of ids that were shown: a page that loses a follower meanwhile may move from before `after`
   * to behind it.
   */
  seen?: readonly string[];
  /** Whether people with an unverified email, and their pages, are excluded. */
  verifiedOnly: boolean;
}

interface Found extends Omit<Place, "id"> {
  section: Section;
}

export type PageHit = Found & ShownPageRow & { section: "pages" };

export interface UserHit extends Found {
  section: "users";
  /** The person. */
  owner: CardRow;
}

export type Hit = PageHit | UserHit;

/** The id of the page or person. */
export function idOf(hit: Hit): string {
  return hit.section === "pages" ? hit.id : hit.owner.id;
}

/** The best hits of each section, in one snapshot. */
export async function search(sql: Reader, viewer: string, search: Search): Promise<Hit[]> {
  const { q, sections, limit, after, seen = [], verifiedOnly } = search;
  const which = sections.length === 1 ? sections[0]! : "all";
  return await sql.query<Hit>(
    SEARCH_STATEMENTS[which],
    [viewer, verifiedOnly, q, limit, after?.rank ?? null, after?.followers ?? null, after?.id ?? null, seen],
    `search.${which}`,
  );
}
