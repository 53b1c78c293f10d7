/** Concurrent actions of people on pages, for the statistics. */
import { sleep } from "../../lib/sleep.ts";
import { inBatches } from "./in_batches.ts";
import type { Person } from "./person.ts";
import type { Seeded } from "./seeded.ts";

const WEIGHTS = {
  follow: 14,
  unfollow: 6,
  accept: 5,
  reject: 4,
  privacy: 3,
  post: 10,
  reply: 10,
  remove: 6,
  like: 25,
  unlike: 12,
  page: 3,
  drop: 1,
};
const CONCURRENCY = 8;

export class StatsWorkload {
  /** Every page with its owner. Deleted pages stay in the list. */
  readonly pages: { id: string; owner: Person }[];
  #posts: { id: string; owner: Person }[] = [];
  done = 0;

  constructor(private readonly random: Seeded, private readonly people: readonly Person[]) {
    this.pages = people.map((owner) => ({ id: owner.page_id, owner }));
  }

  /** Runs this many acts, some concurrently. Rejections and broken connections are ignored. */
  async run(acts: number): Promise<void> {
    await inBatches(Array.from({ length: acts }), CONCURRENCY, async () => {
      try {
        await this.#act();
      } catch {
        await sleep(20);
      }
      this.done++;
    });
  }

  async #act(): Promise<void> {
    const { random } = this;
    const who = random.pick(this.people);
    const { id: page, owner } = random.pick(this.pages);
    const post = this.#posts.length > 0 ? random.pick(this.#posts) : undefined;
    switch (random.weighted(WEIGHTS)) {
      case "follow":
        return void await who.call("PUT", `/pages/${page}/follow`);
      case "unfollow":
        return void await who.call("DELETE", `/pages/${page}/follow`);
      case "accept":
        return void await owner.call("POST", `/pages/${page}/requests/accept`, { all: true });
      case "reject":
        return void await owner.call("POST", `/pages/${page}/requests/reject`, { all: true });
      case "privacy":
        return void await owner.call("PATCH", `/pages/${page}`, { is_private: random.chance(0.6) });
      case "post":
        return await this.#post(owner, page, {});
      case "reply":
        return post && await this.#post(owner, page, { reply_to: post.id });
      case "remove":
        return void (post && await post.owner.call("DELETE", `/posts/${post.id}`));
      case "like":
        return void (post && await who.call("PUT", `/posts/${post.id}/like`));
      case "unlike":
        return void (post && await who.call("DELETE", `/posts/${post.id}/like`));
      case "page": {
        const { status, body } = await who.call("POST", "/pages", { name: "Another" });
        if (status === 201) this.pages.push({ id: body.id, owner: who });
        return;
      }
      case "drop":
        if (page !== owner.page_id) await owner.call("DELETE", `/pages/${page}`);
    }
  }

  async #post(owner: Person, page: string, more: Record<string, string>): Promise<void> {
    const { status, body } = await owner.call("POST", `/pages/${page}/posts`, { text: "words", ...more });
    if (status === 201) this.#posts.push({ id: body.id, owner });
  }
}
