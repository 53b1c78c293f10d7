/**
 * Writes on a node that is killed: acknowledged writes are recorded, others are open or, with a key, repeated.
 */
import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { sleep } from "../../lib/sleep.ts";
import { type Answer, call } from "./api.ts";
import { type Person, registration } from "./person.ts";
import type { Seeded } from "./seeded.ts";

interface Keyed {
  send: () => Promise<Answer>;
  done: (answer: Answer) => void;
}

export class WriteWorkload {
  /** Text of a post → the id it was acknowledged under. */
  readonly posts = new Map<string, string>();
  /** Texts and logins that may exist once or not at all. */
  readonly open = new Set<string>();
  readonly accounts = new Map<string, string>();
  /** `post/user` or `page/user` → whether it exists, as last acknowledged. */
  readonly likes = new Map<string, boolean>();
  readonly follows = new Map<string, boolean>();
  #unanswered: Keyed[] = [];
  #busy = new Set<string>();
  #number = 0;

  /** `prefix` keeps several workloads on one database apart. */
  constructor(
    private readonly random: Seeded,
    private readonly people: readonly Person[],
    private readonly pages: readonly string[],
    private readonly prefix: string,
  ) {}

  /** Runs until `stopped`. After a broken connection or a 5xx the outcome is open. */
  async run(concurrency: number, stopped: () => boolean): Promise<void> {
    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (!stopped()) {
        const done = await this.#step();
        // Pauses while the node rejects or is down.
        if (!done) await sleep(20);
      }
    }));
  }

  /** Repeats unanswered requests with a key, unchanged, until they are answered. */
  async retry(): Promise<number> {
    const again = this.#unanswered.splice(0);
    for (const keyed of again) {
      const answer = await keyed.send();
      assert.ok(answer.status < 300, `a repetition was answered ${answer.status} ${JSON.stringify(answer.body)}`);
      keyed.done(answer);
    }
    return again.length;
  }

  /** Every acknowledged write exists once, and no other write exists twice. */
  async holdAgainst(sql: Sql): Promise<void> {
    const posts = await counted(
      sql,
      "select text as name, count(*) as n, min(id::text) as id from posts group by text",
    );
    for (const [text, id] of this.posts) assert.deepEqual(posts.get(text), { n: 1, id }, `the post "${text}"`);
    for (const text of this.open) assert.ok((posts.get(text)?.n ?? 0) <= 1, `"${text}" exists twice`);
    const users = await counted(
      sql,
      "select login as name, count(*) as n, min(id::text) as id from users group by login",
    );
    for (const [login, id] of this.accounts) assert.deepEqual(users.get(login), { n: 1, id }, `the account "${login}"`);
    const likes = await counted(sql, "select post_id || '/' || user_id as name, 1 as n, '' as id from likes");
    for (const [key, there] of this.likes) assert.equal(likes.has(key), there, `the like ${key}`);
    const follows = await counted(sql, "select page_id || '/' || user_id as name, 1 as n, '' as id from follows");
    for (const [key, there] of this.follows) assert.equal(follows.has(key), there, `the follow ${key}`);
  }

  /** False if the node did not confirm it. */
  async #step(): Promise<boolean> {
    const { random } = this;
    const act = random.weighted({ post: 12, like: 12, follow: 5, register: 1 });
    const person = random.pick(this.people);
    const name = `${this.prefix}x${++this.#number}`;
    const key = random.chance(0.5) ? crypto.randomUUID() : undefined;
    if (act === "post") return await this.#post(person, name, key);
    if (act === "register") return await this.#register(person, name, key);
    const wanted = random.chance(0.7);
    const target = act === "like" ? random.pick([...this.posts.values(), ""]) : random.pick(this.pages);
    if (target === "" || (act === "follow" && target === person.page_id)) return true;
    const [map, path] = act === "like"
      ? [this.likes, `/posts/${target}/like`] as const
      : [this.follows, `/pages/${target}/follow`] as const;
    const pair = `${target}/${person.id}`;
    if (this.#busy.has(pair)) return true;
    this.#busy.add(pair);
    map.delete(pair);
    const answer = await attempt(() => person.call(wanted ? "PUT" : "DELETE", path));
    this.#busy.delete(pair);
    if (answer) map.set(pair, wanted);
    return answer !== undefined;
  }

  async #post(person: Person, text: string, key: string | undefined): Promise<boolean> {
    const original = this.random.chance(0.3) ? this.random.pick([...this.posts.values(), ""]) : "";
    const body = { text, ...(original === "" ? {} : { reply_to: original }) };
    const send = () => person.call("POST", `/pages/${person.page_id}/posts`, body, keyHeader(key));
    return await this.#create(text, key, send, ({ body }) => this.posts.set(text, body.id));
  }

  async #register(person: Person, login: string, key: string | undefined): Promise<boolean> {
    const send = () => call(person.node, "POST", "/users", { body: registration(login), headers: keyHeader(key) });
    return await this.#create(login, key, send, ({ body }) => this.accounts.set(login, body.id));
  }

  async #create(
    name: string,
    key: string | undefined,
    send: () => Promise<Answer>,
    done: (answer: Answer) => void,
  ): Promise<boolean> {
    const answer = await attempt(send);
    if (answer) done(answer);
    else if (key) this.#unanswered.push({ send, done });
    else this.open.add(name);
    return answer !== undefined;
  }
}

/** Stored counters equal the counted rows. */
export async function assertCountersTrue(sql: Sql): Promise<void> {
  const wrong = await sql.query(
    `select 'like_count' as what, p.id from posts p
      where like_count <> (select count(*) from likes l where l.post_id = p.id)
    union all select 'reply_count', p.id from posts p
      where reply_count <> (select count(*) from posts r where r.reply_to = p.id and r.state = 'ready')
    union all select 'post_count', g.id from pages g
      where post_count <> (select count(*) from posts p where p.page_id = g.id and p.state = 'ready')
    union all select 'follower_count', g.id from pages g
      where follower_count <> (select count(*) from follows f where f.page_id = g.id and f.state = 'following')
    union all select 'request_count', g.id from pages g
      where request_count <> (select count(*) from follows f where f.page_id = g.id and f.state = 'requested')`,
  );
  assert.deepEqual(wrong, [], "counters that differ from the rows");
}

/** Events are numbered from 1 without a gap, and each post has one created event. */
export async function assertHistoryWhole(sql: Sql): Promise<void> {
  const [row] = await sql.query(
    `select (select count(*) from events where seq is not null) - coalesce((select max(seq) from events), 0) as gaps,
      (select count(*) from posts p
        left join (select post_id, count(*) as n from events where kind = 'post.created' group by post_id) e
          on e.post_id = p.id
        where e.n is distinct from 1) as untold`,
  );
  assert.deepEqual(row, { gaps: 0, untold: 0 });
}

/**
 * The answer if it confirms the write. Rejections other than of a busy or stopping node are errors of the test.
 */
async function attempt(send: () => Promise<Answer>): Promise<Answer | undefined> {
  const answer = await send().catch((error) => {
    // An undeclared answer is an error of the node, not a broken connection.
    if (error instanceof assert.AssertionError) throw error;
    return undefined;
  });
  if (answer && answer.status < 300) return answer;
  if (!answer) return undefined;
  const text = `${answer.status} ${JSON.stringify(answer.body)}`;
  assert.ok([409, 503, 504].includes(answer.status), text);
  if (answer.status === 503) assert.ok(answer.headers.has("retry-after"), `${text} without Retry-After`);
  return undefined;
}

function keyHeader(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { "idempotency-key": key };
}

async function counted(sql: Sql, text: string): Promise<Map<string, { n: number; id: string }>> {
  const rows = await sql.query<{ name: string; n: number; id: string }>(text);
  return new Map(rows.map(({ name, n, id }) => [name, { n, id }]));
}
