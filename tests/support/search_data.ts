/** People and pages inserted directly into a database, for tests of the search. */
import { type Hit, type Search, search } from "../../db/search/search.ts";
import type { Section } from "../../db/search/stages.ts";
import { migrate } from "../../db/migrate.ts";
import type { Sql } from "../../db/sql.ts";
import { newId } from "../../lib/ids.ts";

export interface NewPerson {
  login: string;
  first?: string;
  last?: string;
  followers?: number;
  verified?: boolean;
  role?: "user" | "moderator";
}

export interface NewPage {
  handle: string;
  name?: string;
  description?: string;
  tags?: string[];
  followers?: number;
  owner?: string;
}

/** Adds a person with a personal page. Returns the id of the person. */
export async function addPerson(sql: Sql, { login, ...rest }: NewPerson): Promise<string> {
  const { first = "Ada", last = "Lovelace", followers = 0, verified = true, role = "user" } = rest;
  const [id, page] = [newId(), newId()];
  await sql.execute(
    `insert into users
      (id, login, password_hash, first_name, last_name, email, email_verified_at, role, page_id, created_at)
    values ($1, $2, '', $3, $4, $2 || '@rookery.test', case when $5 then now() end, $6, $7, now())`,
    [id, login, first, last, verified, role, page],
  );
  await addRow(sql, page, id, true, { handle: login, name: `${first} ${last}`, followers });
  return id;
}

/** Adds a page of `owner`. Returns its id. */
export async function addPage(sql: Sql, owner: string, page: NewPage): Promise<string> {
  const id = newId();
  await addRow(sql, id, owner, false, page);
  return id;
}

async function addRow(sql: Sql, id: string, owner: string, personal: boolean, page: NewPage): Promise<void> {
  const { handle, name = "A page", description = "", tags = [], followers = 0 } = page;
  await sql.execute(
    `insert into pages (id, owner_id, is_personal, uuid, name, description, tags, created_at)
    values ($1, $2, $3, $4, $5, $6, $7::text[], now())`,
    [id, owner, personal, handle, name, description, tags],
  );
  if (followers > 0) await sql.execute("update pages set follower_count = $2 where id = $1", [id, followers]);
}

/** The results of a search, by handle or login, in order. */
export async function namesFound(
  sql: Sql,
  viewer: string,
  section: Section,
  q: string,
  options: Partial<Search> = {},
): Promise<string[]> {
  const hits = await search(sql, viewer, { q, sections: [section], limit: 10, verifiedOnly: true, ...options });
  return hits.map(nameOf);
}

export function nameOf(hit: Hit): string {
  return hit.section === "pages" ? hit.uuid : hit.owner.login;
}

/** A database to search, and who owns its pages. */
export interface Town {
  sql: Sql;
  keeper: string;
  /** The handles that a search of the keeper finds, and the logins. */
  pages(q: string): Promise<string[]>;
  people(q: string): Promise<string[]>;
}

export async function openTown(sql: Sql): Promise<Town> {
  await migrate(sql);
  const keeper = await addPerson(sql, { login: "townkeeper", first: "Town", last: "Keeper" });
  return {
    sql,
    keeper,
    pages: (q) => namesFound(sql, keeper, "pages", q),
    people: (q) => namesFound(sql, keeper, "users", q),
  };
}
