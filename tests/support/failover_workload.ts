/** The mixed load of one round: what clients write until each write is acknowledged. */
import type { Sql } from "../../db/sql.ts";
import type { FailoverPeople } from "./failover_people.ts";
import { FailoverPosts } from "./failover_posts.ts";
import { FailoverStates } from "./failover_states.ts";
import { PatientClient } from "./patient_client.ts";
import type { NodeProcess } from "./node_process.ts";
import type { Seeded } from "./seeded.ts";
import { Standstills } from "./standstills.ts";

/** Per thousand writes. */
const WEIGHTS = {
  post: 410,
  like: 410,
  reply: 70,
  follow: 40,
  name: 30,
  private: 20,
  emailed: 15,
  photo: 5,
};

export class FailoverWorkload implements Disposable {
  readonly client: PatientClient;
  readonly posts: FailoverPosts;
  readonly states: FailoverStates;
  readonly #standstills = new Standstills();

  /** `prefix` starts the texts of its posts. */
  constructor(
    private readonly random: Seeded,
    nodes: readonly NodeProcess[],
    people: FailoverPeople,
    prefix: string,
  ) {
    this.client = new PatientClient(random, nodes);
    this.posts = new FailoverPosts(random, this.client, people, prefix);
    this.states = new FailoverStates(random, this.client, people, this.posts);
  }

  /** Goes on until `stopped`. Every write that was begun is acknowledged in the end. */
  async run(clients: number, stopped: () => boolean): Promise<void> {
    await Promise.all(Array.from({ length: clients }, async () => {
      while (!stopped()) await this.#step();
    }));
    await this.client.settled();
  }

  /** The longest time without an acknowledged write, in milliseconds, less that in which this process stood still. */
  get longestGapMs(): number {
    const times = this.client.acknowledged;
    return times.slice(1).reduce((longest, at, i) => {
      return Math.max(longest, at - times[i]! - this.#standstills.within(times[i]!, at));
    }, 0);
  }

  [Symbol.dispose](): void {
    this.#standstills[Symbol.dispose]();
  }

  /** Everything acknowledged is there, once. */
  async holdAgainst(sql: Sql): Promise<void> {
    await this.posts.holdAgainst(sql);
    await this.states.holdAgainst(sql);
  }

  async #step(): Promise<void> {
    const kind = this.random.weighted(WEIGHTS);
    if (kind === "like" || kind === "follow" || kind === "name") await this.states[kind]();
    else await this.posts.make(kind);
  }
}
