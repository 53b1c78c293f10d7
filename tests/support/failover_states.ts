/** The states that a load changes: likes, follows and names. The last acknowledged value is the stored one. */
import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import type { FailoverPeople } from "./failover_people.ts";
import type { FailoverPosts } from "./failover_posts.ts";
import type { PatientClient, Write } from "./patient_client.ts";
import type { Seeded } from "./seeded.ts";

/** What is stored, by key. A row with the value null is none. */
const STORED = {
  like: "select post_id || '/' || user_id as key, 'true' as value from likes",
  follow: "select page_id || '/' || user_id as key, state as value from follows",
  page: "select id::text as key, name as value from pages",
  profile: "select id::text as key, first_name as value from users",
};
type State = keyof typeof STORED;

export class FailoverStates {
  /** As last acknowledged. Undefined: it is not there. */
  readonly values: Record<State, Map<string, string | undefined>> = {
    like: new Map(),
    follow: new Map(),
    page: new Map(),
    profile: new Map(),
  };
  #busy = new Set<string>();
  #number = 0;

  constructor(
    private readonly random: Seeded,
    private readonly client: PatientClient,
    private readonly people: FailoverPeople,
    private readonly posts: FailoverPosts,
  ) {}

  async like(): Promise<void> {
    const person = this.random.pick(this.people.all);
    const post = this.posts.toLike(person);
    if (!post) return await this.posts.make("post");
    const isLiked = this.random.chance(0.7);
    await this.#set("like", `${post.id}/${person.id}`, isLiked ? "true" : undefined, () => {
      return this.client.write(person, isLiked ? "PUT" : "DELETE", `/posts/${post.id}/like`);
    });
  }

  async follow(): Promise<void> {
    const { followedPage, all, owner } = this.people;
    const person = this.random.pick(all.filter((person) => person !== owner));
    const follows = this.random.chance(0.5);
    await this.#set("follow", `${followedPage}/${person.id}`, follows ? "following" : undefined, async () => {
      const write = await this.client.write(person, follows ? "PUT" : "DELETE", `/pages/${followedPage}/follow`);
      assert.equal(write.body.state, follows ? "following" : "none");
      return write;
    });
  }

  /** Of a page or of a person. */
  async name(): Promise<void> {
    const person = this.random.pick(this.people.all);
    const state = this.random.chance(0.5) ? "page" : "profile";
    const [path, key, field] = state === "page"
      ? [`/pages/${person.page_id}`, person.page_id, "name"] as const
      : [`/users/${person.id}`, person.id, "first_name"] as const;
    // Names of people have no digits.
    const name = `Name-${[...String(++this.#number)].map((digit) => "abcdefghij"[Number(digit)]).join("")}`;
    await this.#set(state, key, name, async () => {
      const write = await this.client.write(person, "PATCH", path, { [field]: name });
      assert.equal(write.body[field], name);
      return write;
    });
  }

  async holdAgainst(sql: Sql): Promise<void> {
    for (const [state, values] of Object.entries(this.values) as [State, Map<string, string | undefined>][]) {
      const rows = await sql.query<{ key: string; value: string }>(
        `select * from (${STORED[state]}) s where key = any($1)`,
        [[...values.keys()]],
      );
      const stored = new Map(rows.map(({ key, value }) => [key, value]));
      const wrong = [...values].filter(([key, value]) => stored.get(key) !== value)
        .map(([key, value]) => ({ state, key, acknowledged: value, stored: stored.get(key) }));
      assert.deepEqual(wrong, []);
    }
  }

  /** One writer of a key at a time, so that the last acknowledged value is the last that was sent. */
  async #set(state: State, key: string, value: string | undefined, write: () => Promise<Write>): Promise<void> {
    const name = `${state} ${key}`;
    if (this.#busy.has(name)) return;
    this.#busy.add(name);
    const { settled } = await write();
    this.values[state].set(key, value);
    void settled.then(() => this.#busy.delete(name));
  }
}
