/** The listeners of a load: each receives what it may see, once and in order, and nothing else. */
import assert from "node:assert/strict";
import type { Cluster } from "./cluster.ts";
import type { FailoverPeople } from "./failover_people.ts";
import type { FailoverPosts } from "./failover_posts.ts";
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
  async hold(posts: FailoverPosts): Promise<number> {
    let worst = 0;
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
