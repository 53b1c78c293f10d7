import type { ShownPageRow } from "../pages.ts";
import { SEARCH_STATEMENTS } from "./statement.ts";
import type { Reader } from "../sql.ts";
import type { CardRow } from "../users.ts";
import type { Section } from "./stages.ts";

/** The place of a hit in its section: first how well it fits, less is better; then who has more followers; then by id. */
export interface Place {
  rank: number;
  followers: number;
  id: string;
}

export interface Search {
  q: string;
  sections: readonly Section[];
  /** Hits of each section at most. */
  limit: number;
  after?: Place | undefined;
  /** The last eight digits of ids that were shown: who loses a follower meanwhile may have moved from before `after` to behind it. */
  seen?: readonly string[];
  /** Whether people with an unverified e-mail, and their pages, are in no search. */
  verifiedOnly: boolean;
}

interface Found extends Omit<Place, "id"> {
  section: Section;
}

export type PageHit = Found & ShownPageRow & { section: "pages" };

export interface UserHit extends Found {
  section: "users";
  /** The person themselves. */
  owner: CardRow;
}

export type Hit = PageHit | UserHit;

/** Of the page or person that was found. */
export function idOf(hit: Hit): string {
  return hit.section === "pages" ? hit.id : hit.owner.id;
}

/** The best hits of each section, as of one moment. */
export async function search(sql: Reader, viewer: string, search: Search): Promise<Hit[]> {
  const { q, sections, limit, after, seen = [], verifiedOnly } = search;
  const which = sections.length === 1 ? sections[0]! : "all";
  return await sql.query<Hit>(
    SEARCH_STATEMENTS[which],
    [viewer, verifiedOnly, q, limit, after?.rank ?? null, after?.followers ?? null, after?.id ?? null, seen],
    `search.${which}`,
  );
}
