import { hashPassword } from "../security/passwords.ts";
import type { Param, Sql } from "../db/sql.ts";
import { Random } from "../tasks/demo/random.ts";
import { FIRST_NAMES, LAST_NAMES } from "../tasks/demo/words.ts";
import { PASSWORD } from "./harness.ts";
import { ENGLISH, RUSSIAN } from "./search_words.ts";
import { idOf } from "./world.ts";

const PEOPLE_BATCH = 5_000;
/** Percentage of pages with a topic; the others have their owner's name. */
const TOPICAL = 60;

/**
 * People with one page each: half of the pages named after people, half with topics in two languages; some have many
 * followers.
 */
export async function fillSearchWorld(sql: Sql, people: number): Promise<void> {
  const random = new Random(11);
  const hash = await hashPassword(PASSWORD);
  for (let from = 1; from <= people; from += PEOPLE_BATCH) {
    const numbers = Array.from({ length: Math.min(PEOPLE_BATCH, people - from + 1) }, (_, i) => from + i);
    const rows = numbers.map((number) => somebody(number, random));
    const column = <Name extends keyof Row>(name: Name): Param => rows.map((row) => row[name]);
    await sql.execute(
      `insert into users
        (id, login, password_hash, first_name, last_name, email, email_verified_at, page_id, created_at)
      select ${idOf("user", "n")}, login, $2, first, last, login || '@example.org', now(), ${idOf("page", "n")}, now()
      from unnest($1::int[], $3::text[], $4::text[], $5::text[]) w (n, login, first, last)`,
      [numbers, hash, column("login"), column("first"), column("last")],
    );
    await sql.execute(
      `insert into pages (id, owner_id, is_personal, uuid, name, description, tags, created_at)
      select ${idOf("page", "n")}, ${
        idOf("user", "n")
      }, true, uuid, name, description, array_remove(string_to_array(tags, ' '), ''), now()
      from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[]) w (n, uuid, name, description, tags)`,
      [numbers, column("uuid"), column("name"), column("description"), column("tags")],
    );
    await sql.execute(
      `update pages set follower_count = followers from unnest($1::int[], $2::int[]) w (n, followers)
      where id = ${idOf("page", "n")} and followers > 0`,
      [numbers, column("followers")],
    );
  }
}

interface Row {
  login: string;
  first: string;
  last: string;
  uuid: string;
  name: string;
  description: string;
  tags: string;
  followers: number;
}

function somebody(number: number, random: Random): Row {
  const [first, last] = [random.pick(FIRST_NAMES), random.pick(LAST_NAMES)];
  // The first few sign in.
  const login = number <= 64 ? `bench${number}` : `${first}${last}${number}`.toLowerCase();
  const followers = Math.floor(1 / (random.next() + 0.0002)) - 1;
  const person = { login, first, last, followers };
  if (!random.chance(TOPICAL / 100)) {
    return { ...person, uuid: login, name: `${first} ${last}`, description: "", tags: "" };
  }
  const words = random.chance(0.5) ? RUSSIAN : ENGLISH;
  const some = (count: number) => Array.from({ length: count }, () => random.skewed(words));
  const [one, two] = some(2) as [string, string];
  const and = words === RUSSIAN ? "и" : "and";
  const name = random.pick([
    `${one} ${and} ${two}`,
    `${one} ${two}`,
    one,
    `${first}: ${one}`,
    `${two} ${number % 100}`,
  ]);
  return {
    ...person,
    uuid: `${random.skewed(ENGLISH)}${random.pick(["-", "_", ""])}${random.pick(ENGLISH)}${number}`,
    name: name[0]!.toUpperCase() + name.slice(1),
    description: some(random.below(30)).join(" "),
    tags: [...new Set(some(random.below(4)))].join(" "),
  };
}
