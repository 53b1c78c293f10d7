/** The listeners of a load: each receives what it may see, once and in order, and nothing else. */
import assert from "node:assert/strict";
import type { Cluster } from "./cluster.ts";
import type { FailoverPeople } from "./failover_people.ts";
import type { FailoverPosts, MadePost } from "./failover_posts.ts";
import type { FailoverWorkload } from "./failover_workload.ts";
import { SteadyListener } from "./steady_listener.ts";
import { until } from "./wait.ts";

export class FailoverAudience implements AsyncDisposable {
  private constructor(
    private readonly nodes: Cluster["nodes"],
    private readonly people: FailoverPeople,
    private readonly listeners: readonly SteadyListener[],
  ) {}

  static async start({ nodes }: Cluster, people: FailoverPeople): Promise<FailoverAudience> {
    const listeners = people.listeners.map((person, i) =>
      new SteadyListener(person, nodes, i, person === people.insider ? undefined : people.privatePage)
    );
    await until("all listen", () => listeners.every(({ connections }) => connections > 0));
    return new FailoverAudience(nodes, people, listeners);
  }

  /** Returns the longest time from acknowledgement to receipt. Photos are received when they are ready. */
  async hold({ posts, states }: FailoverWorkload): Promise<number> {
    let worst = 0;
    const likes = countsOf([...states.values.like].flatMap(([key, isLiked]) => isLiked ? [key.split("/")[0]!] : []));
    for (const listener of this.listeners) {
      const isInsider = listener.person === this.people.insider;
      const expected = [...posts.made.values()].filter(({ kind }) => kind !== "private" || isInsider);
      await until("every post was received", () => expected.every(({ id }) => listener.received.has(id)));
      const { doubled, disordered, resets, leaked } = listener;
      assert.deepEqual({ doubled, disordered, resets, leaked }, { doubled: [], disordered: 0, resets: 0, leaked: [] });
      for (const { id, at, kind, replyTo } of expected) {
        const received = listener.received.get(id)!;
        assert.equal(received.replyTo, replyTo, `the original of ${id}`);
        if (kind !== "photo") worst = Math.max(worst, received.at - at);
      }
      const replies = countsOf(expected.flatMap(({ replyTo }) => replyTo ?? []));
      await holdCounts("likes", likes, listener.likeCounts, expected);
      await holdCounts("replies", replies, listener.replyCounts, expected);
    }
    await this.#holdPrivate(posts);
    return worst;
  }

  /** At every node the insider may read the newest private post, and nobody else may. */
  async #holdPrivate(posts: FailoverPosts): Promise<void> {
    const newest = posts.of("private").at(-1);
    if (!newest) return;
    for (const person of this.people.listeners) {
      for (const node of this.nodes) {
        const { status } = await person.at(node).call("GET", `/posts/${newest.id}`);
        assert.equal(status, person === this.people.insider ? 200 : 404, `a private post for ${person.login}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.listeners) await listener[Symbol.asyncDispose]();
  }
}

/** How often each occurs. */
function countsOf(ids: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** The last count that a listener receives of each post is the true one. */
async function holdCounts(
  what: string,
  counts: ReadonlyMap<string, number>,
  received: ReadonlyMap<string, number>,
  posts: readonly MadePost[],
): Promise<void> {
  const wrong = () =>
    posts.filter(({ id }) => received.get(id) !== (counts.get(id) ?? 0))
      .map(({ id }) => ({ id, received: received.get(id), counted: counts.get(id) ?? 0 }));
  const late = () => JSON.stringify(wrong());
  await until(`the last numbers of ${what} are true`, () => wrong().length === 0, { timeoutMs: 20_000, late });
}
