/** Clients that repeat a write at the next node until it is acknowledged, and what they then know. */
import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { sleep } from "../../lib/sleep.ts";
import { type Answer, call } from "./api.ts";
import type { Person } from "./person.ts";
import type { NodeProcess } from "./node_process.ts";
import type { Seeded } from "./seeded.ts";

/** How long a client waits for one answer before it asks another node. */
const PATIENCE_MS = 3_000;
const RETRY_MS = 25;

export class FailoverWorkload {
  /** Text of a post → its id and when it was acknowledged. */
  readonly posts = new Map<string, { id: string; at: number }>();
  /** `post/user` → whether it is liked, as last acknowledged. */
  readonly likes = new Map<string, boolean>();
  /** When each write was acknowledged. */
  readonly acknowledged: number[] = [];
  /** Answers that were no success, by status and problem. */
  readonly refused = new Map<string, number>();
  /** The longest time from a client's first try to the acknowledgement. */
  slowest = 0;
  #busy = new Set<string>();
  #number = 0;

  constructor(
    private readonly random: Seeded,
    private readonly nodes: readonly NodeProcess[],
    private readonly people: readonly Person[],
    private readonly prefix: string,
  ) {}

  /** Goes on until `stopped`. Every write that was begun is acknowledged in the end. */
  async run(clients: number, stopped: () => boolean): Promise<void> {
    await Promise.all(Array.from({ length: clients }, async () => {
      while (!stopped()) await this.#step();
    }));
  }

  /** The longest time without an acknowledged write, between these moments, in milliseconds. */
  longestGap(from = -Infinity, to = Infinity): number {
    const times = this.acknowledged.filter((at) => at >= from && at <= to);
    return times.slice(1).reduce((longest, at, i) => Math.max(longest, at - times[i]!), 0);
  }

  /** Everything acknowledged is there, once. */
  async holdAgainst(sql: Sql): Promise<void> {
    const posts = await sql.query<{ text: string; n: number; id: string }>(
      "select text, count(*)::int as n, min(id::text) as id from posts where text like $1 group by text",
      [`${this.prefix}%`],
    );
    const stored = new Map(posts.map((post) => [post.text, post]));
    const lost = [...this.posts].filter(([text, { id }]) => stored.get(text)?.id !== id).map(([text]) => text);
    const doubled = posts.filter(({ n }) => n > 1).map(({ text }) => text);
    assert.deepEqual({ lost, doubled, unknown: posts.length - this.posts.size }, { lost: [], doubled: [], unknown: 0 });
    const rows = await sql.query<{ key: string }>("select post_id || '/' || user_id as key from likes");
    const liked = new Set(rows.map(({ key }) => key));
    for (const [key, there] of this.likes) assert.equal(liked.has(key), there, `the like ${key}`);
  }

  async #step(): Promise<void> {
    const { random } = this;
    const person = random.pick(this.people);
    if (random.chance(0.5) || this.posts.size === 0) return await this.#post(person);
    const { id } = random.pick([...this.posts.values()].slice(-50));
    const pair = `${id}/${person.id}`;
    if (this.#busy.has(pair)) return;
    this.#busy.add(pair);
    const wanted = random.chance(0.7);
    await this.#write(person, wanted ? "PUT" : "DELETE", `/posts/${id}/like`);
    this.likes.set(pair, wanted);
    this.#busy.delete(pair);
  }

  async #post(person: Person): Promise<void> {
    const text = `${this.prefix}${++this.#number}`;
    const answer = await this.#write(person, "POST", `/pages/${person.page_id}/posts`, { text });
    this.posts.set(text, { id: answer.body.id, at: performance.now() });
  }

  async #write(person: Person, method: string, path: string, body?: unknown): Promise<Answer> {
    const start = performance.now();
    const headers: Record<string, string> = method === "POST" ? { "idempotency-key": crypto.randomUUID() } : {};
    for (let i = this.random.whole(0, this.nodes.length - 1);; i++) {
      const node = this.nodes[i % this.nodes.length]!;
      const options = { token: person.token, headers, ...(body === undefined ? {} : { body }) };
      const answer = await patiently(call(node, method, path, options));
      if (typeof answer !== "string" && answer.status < 300) {
        this.acknowledged.push(performance.now());
        this.slowest = Math.max(this.slowest, performance.now() - start);
        return answer;
      }
      const outcome = typeof answer === "string" ? answer : `${answer.status} ${answer.body?.type?.split("/").at(-1)}`;
      this.refused.set(outcome, (this.refused.get(outcome) ?? 0) + 1);
      if (typeof answer !== "string") assert.ok([409, 503, 504].includes(answer.status), outcome);
      await sleep(RETRY_MS);
    }
  }
}

/** The answer, or why there is none. */
async function patiently(answering: Promise<Answer>): Promise<Answer | string> {
  const stopped = new AbortController();
  const late = sleep(PATIENCE_MS, stopped.signal).then(() => "no answer");
  try {
    return await Promise.race([answering.catch(() => "no connection"), late]);
  } finally {
    stopped.abort();
  }
}
