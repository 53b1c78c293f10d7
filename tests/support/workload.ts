/** Random actions of people that change feeds, through the API. */
import assert from "node:assert/strict";
import type { Answer } from "./api.ts";
import type { Person } from "./person.ts";
import type { Seeded } from "./seeded.ts";

export interface WorkloadPage {
  id: string;
  owner: Person;
}

const WEIGHTS = {
  post: 22,
  reply: 6,
  edit: 8,
  remove_post: 6,
  like: 22,
  unlike: 6,
  follow: 10,
  unfollow: 5,
  privacy: 4,
  block: 3,
  unblock: 4,
  remove_follower: 3,
  accept: 4,
  create_page: 1,
  delete_page: 0.5,
};
export type WorkloadAct = keyof typeof WEIGHTS;

export class Workload {
  /** Acknowledged posts that are not known to be deleted. */
  readonly posts: { id: string; page: WorkloadPage }[] = [];
  readonly acknowledged = new Set<string>();
  readonly done = new Map<WorkloadAct, number>();
  #number = 0;

  constructor(
    private readonly random: Seeded,
    private readonly people: readonly Person[],
    private readonly staff: readonly Person[],
    readonly pages: WorkloadPage[],
    private readonly weights: Record<WorkloadAct, number> = WEIGHTS,
  ) {}

  /** Chooses everything at the start of a step, so that steps start in the order of choices. */
  async step(): Promise<void> {
    const { random } = this;
    const act = random.weighted(this.weights);
    const person = random.pick(this.people);
    const page = random.pick(this.pages);
    const post = this.posts.length > 0 ? this.posts[Math.floor(random.next() ** 2 * this.posts.length)]! : undefined;
    const other = random.pick(this.people);
    const flag = random.chance(0.5);
    const answer = await this.#act(act, { person, page, post, other, flag });
    if (!answer) return;
    const refused = [403, 404, 409, 422].includes(answer.status);
    if (answer.status >= 300 && !refused) {
      assert.fail(`${act}: ${answer.status} ${JSON.stringify(answer.body)}\n${person.node.output?.slice(-2_000)}`);
    }
    if (!refused) this.done.set(act, (this.done.get(act) ?? 0) + 1);
  }

  async #act(
    act: WorkloadAct,
    { person, page, post, other, flag }: {
      person: Person;
      page: WorkloadPage;
      post: { id: string; page: WorkloadPage } | undefined;
      other: Person;
      flag: boolean;
    },
  ): Promise<Answer | undefined> {
    const moderator = this.staff[flag ? 0 : this.staff.length - 1]!;
    switch (act) {
      case "post":
        return await this.#post(page, {});
      case "reply":
        return post && await this.#post(page, { reply_to: post.id });
      case "edit":
        return post && await post.page.owner.call("PATCH", `/posts/${post.id}`, { text: `edited ${++this.#number}` });
      case "remove_post": {
        if (!post) return undefined;
        const answer = await (flag ? post.page.owner : moderator).call("DELETE", `/posts/${post.id}`);
        if (answer.status === 204) this.#forget((known) => known.id === post.id);
        return answer;
      }
      case "like":
        return post && await person.call("PUT", `/posts/${post.id}/like`);
      case "unlike":
        return post && await person.call("DELETE", `/posts/${post.id}/like`);
      case "follow":
        return await person.call("PUT", `/pages/${page.id}/follow`);
      case "unfollow":
        return await person.call("DELETE", `/pages/${page.id}/follow`);
      case "privacy":
        return await page.owner.call("PATCH", `/pages/${page.id}`, { is_private: flag });
      case "block": {
        const until = new Date(Date.now() + 3_600_000).toISOString();
        return await moderator.call("POST", `/pages/${page.id}/block`, { reason: "a test", until });
      }
      case "unblock":
        return await moderator.call("DELETE", `/pages/${page.id}/block`);
      case "remove_follower":
        return await page.owner.call("DELETE", `/pages/${page.id}/followers/${other.id}`);
      case "accept":
        return await page.owner.call("POST", `/pages/${page.id}/requests/accept`, { all: true });
      case "create_page": {
        const answer = await person.call("POST", "/pages", { name: `page ${++this.#number}` });
        if (answer.status === 201) this.pages.push({ id: answer.body.id, owner: person });
        return answer;
      }
      case "delete_page": {
        const answer = await page.owner.call("DELETE", `/pages/${page.id}`);
        if (answer.status !== 204) return answer;
        this.pages.splice(this.pages.indexOf(page), 1);
        this.#forget((known) => known.page === page);
        return answer;
      }
    }
  }

  async #post(page: WorkloadPage, more: Record<string, unknown>): Promise<Answer> {
    const answer = await page.owner.call("POST", `/pages/${page.id}/posts`, {
      text: `post ${++this.#number}`,
      ...more,
    });
    if (answer.status === 201) {
      this.acknowledged.add(answer.body.id);
      this.posts.push({ id: answer.body.id, page });
    }
    return answer;
  }

  #forget(gone: (post: { id: string; page: WorkloadPage }) => boolean): void {
    for (let i = this.posts.length - 1; i >= 0; i--) if (gone(this.posts[i]!)) this.posts.splice(i, 1);
  }
}
