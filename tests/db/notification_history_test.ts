import assert from "node:assert/strict";
import { emitLikeEvents } from "../../db/events.ts";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { NotificationModel } from "../support/notification_model.ts";
import { type Seeded, seededTest } from "../support/seeded.ts";
import { notificationsRead } from "../support/settled.ts";

const app = sharedApp();
const PEOPLE = 6;
const STEPS = 160;
const KINDS = ["follower", "request", "accepted", "like", "reply", "tag"];

const WEIGHTS = {
  follow: 12,
  unfollow: 5,
  accept: 5,
  private: 4,
  post: 8,
  reply: 10,
  tag: 6,
  remove: 3,
  like: 20,
  unlike: 8,
  block: 2,
  unblock: 3,
  mute: 3,
  read: 8,
};

seededTest(
  "Under random actions each notification list follows the rules, with correct unread counts",
  async (random) => {
    const people = await app.people(PEOPLE);
    const { token: admin } = await app.admin();
    const world = new World(random, people, admin);
    for (const person of people) world.model.owners.set(person.page_id, person.id);
    for (let step = 0; step < STEPS; step++) {
      const act = random.weighted(WEIGHTS);
      await world.act(act);
      await settled();
      if (step % 8 === 7) await world.compare(`after ${step + 1} steps, the last of them ${act}`);
    }
    for (const id of [...world.model.blocked]) await world.unblock(id);
    await world.compare("in the end");
  },
);

/** Random acts of people, on the server and in the model. */
class World {
  readonly model = new NotificationModel();

  constructor(private readonly random: Seeded, private readonly people: Person[], private readonly admin: string) {}

  async act(act: keyof typeof WEIGHTS): Promise<void> {
    const who = this.#someone();
    const page = this.random.pick(this.people).page_id;
    switch (act) {
      case "follow":
      case "unfollow":
      case "accept":
      case "private":
        return await this.#actOnPage(act, who, page);
      case "post":
      case "reply":
      case "tag":
      case "remove":
        return await this.#actOnPost(act, who);
      case "like":
      case "unlike":
        return await this.#like(act, who);
      default:
        return await this.#actOnPerson(act, who);
    }
  }

  async #actOnPage(act: "follow" | "unfollow" | "accept" | "private", who: Person, page: string): Promise<void> {
    const { random, model } = this;
    const { token } = who;
    const owner = this.people.find(({ page_id }) => page_id === page)!;
    switch (act) {
      case "follow":
        if (owner.id === who.id || model.blocked.has(owner.id)) return;
        await app.follow(who, page);
        return model.follow(page, who.id);
      case "unfollow":
        if (owner.id === who.id) return;
        await app.ok("DELETE", `/pages/${page}/follow`, { token });
        return model.unfollow(page, who.id);
      case "accept":
        await app.ok("POST", `/pages/${who.page_id}/requests/accept`, { token, body: { all: true } });
        return model.accept(who.page_id);
      case "private": {
        const is_private = random.chance(0.5);
        await app.ok("PATCH", `/pages/${who.page_id}`, { token, body: { is_private } });
        return model.setPrivate(who.page_id, is_private);
      }
    }
  }

  async #actOnPost(act: "post" | "reply" | "tag" | "remove", who: Person): Promise<void> {
    const { random, model } = this;
    const { token } = who;
    const posts = [...model.posts.values()];
    switch (act) {
      case "post":
      case "reply": {
        const seen = posts.filter(({ page }) => model.sees(who.id, page));
        if (act === "reply" && seen.length === 0) return;
        const replyTo = act === "reply" ? random.pick(seen).id : null;
        const tagged = this.#some();
        const { id } = await app.post(who, {
          tagged_users: tagged.map(({ login }) => login),
          ...(replyTo === null ? {} : { reply_to: replyTo }),
        });
        return model.post({ id, page: who.page_id, replyTo, tagged: ids(tagged), likers: [] });
      }
      case "tag": {
        const own = posts.filter(({ page }) => page === who.page_id);
        if (own.length === 0) return;
        const tagged = this.#some();
        const { id } = random.pick(own);
        await app.ok("PATCH", `/posts/${id}`, { token, body: { tagged_users: tagged.map(({ login }) => login) } });
        return model.tag(id, ids(tagged));
      }
      case "remove": {
        const own = posts.filter(({ page }) => page === who.page_id);
        if (own.length === 0) return;
        const { id } = random.pick(own);
        await app.ok("DELETE", `/posts/${id}`, { token });
        return void model.posts.delete(id);
      }
    }
  }

  async #like(act: "like" | "unlike", who: Person): Promise<void> {
    const { random, model } = this;
    const { token } = who;
    const seen = [...model.posts.values()].filter(({ page }) => model.sees(who.id, page));
    if (seen.length === 0) return;
    const { id } = random.pick(seen);
    await app.ok(act === "like" ? "PUT" : "DELETE", `/posts/${id}/like`, { token });
    return act === "like" ? model.like(id, who.id) : model.unlike(id, who.id);
  }

  async #actOnPerson(act: "block" | "unblock" | "mute" | "read", who: Person): Promise<void> {
    const { random, model } = this;
    const { token } = who;
    switch (act) {
      case "block":
        if (model.blocked.size >= 2) return;
        await app.ok("POST", `/users/${who.id}/block`, { token: this.admin, body: { reason: "spam" } });
        return void model.blocked.add(who.id);
      case "unblock": {
        const [first] = model.blocked;
        return first === undefined ? undefined : await this.unblock(first);
      }
      case "mute": {
        const kind = random.pick(KINDS);
        const shown = random.chance(0.5);
        await app.ok("PUT", "/notifications/settings", { token, body: { bell: { [kind]: shown } } });
        const muted = model.muted.get(who.id) ?? new Set();
        model.muted.set(who.id, muted);
        return void (shown ? muted.delete(kind) : muted.add(kind));
      }
      case "read": {
        const items = await bell(who);
        if (items.length === 0) return;
        const place = random.whole(0, items.length - 1);
        const { order } = model.bell(who.id)[place]!;
        await app.ok("POST", "/notifications/read", { token, body: { up_to: items[place].cursor } });
        return model.readUpTo(who.id, order);
      }
    }
  }

  async unblock(id: string): Promise<void> {
    await app.ok("DELETE", `/users/${id}/block`, { token: this.admin });
    this.model.blocked.delete(id);
    const person = this.people.find((each) => each.id === id)!;
    // The block has ended their session.
    Object.assign(person, await app.signIn(person.login));
  }

  async compare(when: string): Promise<void> {
    for (const person of this.people.filter(({ id }) => !this.model.blocked.has(id))) {
      const items = await bell(person, this.random.pick([7, 50]));
      const expected = this.model.bell(person.id);
      const got = items.map((item) => ({ line: lineOf(item, expected), unread: item.unread }));
      assert.deepEqual(got, expected.map(({ line, unread }) => ({ line, unread })), `${person.login} ${when}`);
      const { unread } = await app.ok("GET", "/notifications?limit=1", { token: person.token });
      const [counted] = await app.ctx.sql.query<{ n: number }>(
        `select count(*) as n from notifications n left join notification_settings s on s.user_id = n.user_id
        where n.user_id = $1 and n.position > coalesce(s.read_position, 0) and n.id = any ($2::uuid[])`,
        [person.id, items.map(({ id }) => id)],
      );
      assert.deepEqual([unread, counted!.n], Array(2).fill(expected.filter((each) => each.unread).length), when);
    }
  }

  #someone(): Person {
    return this.random.pick(this.people.filter(({ id }) => !this.model.blocked.has(id)));
  }

  #some(): Person[] {
    return this.people.filter(() => this.random.chance(0.25));
  }
}

function ids(people: Person[]): Set<string> {
  return new Set(people.map(({ id }) => id));
}

/** The whole notification list, read in pages. */
async function bell({ token }: Person, limit = 50): Promise<Json[]> {
  const items: Json[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page: Json = await app.ok("GET", `/notifications?limit=${limit}${cursor && `&cursor=${cursor}`}`, { token });
    items.push(...page.items);
    cursor = page.next_cursor;
  }
  return items;
}

function lineOf({ kind, actors, count, page, post }: Json, expected: { line: string }[]): string {
  const names = actors.map(({ id }: Json) => id);
  if (kind !== "like") return `${kind} ${kind === "reply" || kind === "tag" ? post.id : page.id} by ${names[0]}`;
  const nameless = `like ${post.id} ${count} somebody`;
  return expected.some(({ line }) => line === nameless) && names.length === 1
    ? nameless
    : `like ${post.id} ${count} ${names.join("+")}`;
}

/** Waits until all events so far have been processed. Likes are emitted without waiting for their interval. */
async function settled(): Promise<void> {
  const [first] = await app.ctx.sql.query<{ epoch: number }>("select epoch from partitions where id = 0");
  const likes = await emitLikeEvents(app.ctx.sql, { partition: 0, epoch: first!.epoch }, 100);
  if (likes.length > 0) app.ctx.stream.offer(likes);
  await notificationsRead(app.ctx.sql);
}
