/** Random acts on the server and on the model. The model also decides whether an act is allowed. */
import assert from "node:assert/strict";
import type { Json } from "./api.ts";
import type { Person } from "./person.ts";
import type { Seeded } from "./seeded.ts";
import type { ModelPage, ModelPost, VisibilityModel } from "./visibility_model.ts";

const WEIGHTS = {
  post: 14,
  reply: 12,
  edit: 5,
  remove: 5,
  like: 14,
  unlike: 5,
  follow: 14,
  unfollow: 6,
  privacy: 7,
  accept: 6,
  remove_follower: 5,
  block: 5,
  unblock: 5,
  create_page: 3,
  delete_page: 1,
};

export class Acts {
  #number = 0;
  /** Whether the model refused at least one of each kind. */
  readonly refused = new Set<string>();

  constructor(
    private readonly random: Seeded,
    private readonly model: VisibilityModel,
    private readonly people: readonly Person[],
    private readonly admin: Person,
  ) {}

  /** One act. Returns the person who did it. */
  async next(): Promise<Person> {
    const { random, model } = this;
    const act = random.weighted(WEIGHTS);
    const person = random.pick(this.people);
    const page = random.pick([...model.pages.values()]);
    const posts = [...model.posts.values()];
    const post = posts.length > 0 ? posts[Math.floor((1 - random.next() ** 2) * (posts.length - 1))] : undefined;
    switch (act) {
      case "post":
        return await this.#post(random.chance(0.8) ? this.#ownPage(person) : page, person, null);
      case "reply":
        if (post) await this.#post(this.#ownPage(person), person, post);
        return person;
      case "edit":
      case "remove":
        return post ? await this.#change(act, post) : person;
      case "like":
      case "unlike":
        if (post) await this.#like(person, post, act === "like");
        return person;
      case "follow":
        return await this.#follow(person, page);
      case "unfollow":
        return await this.#unfollow(person, page);
      case "privacy":
        return await this.#privacy(page, random.chance(0.5));
      case "accept":
        return await this.#accept(page);
      case "remove_follower":
        return await this.#removeFollower(person, page);
      case "block":
      case "unblock":
        return await this.#block(page, act === "block");
      case "create_page":
        return await this.#createPage(person);
      case "delete_page":
        return await this.#deletePage(page);
    }
  }

  async #post(page: ModelPage, person: Person, original: ModelPost | null): Promise<Person> {
    const { model } = this;
    const text = `text ${++this.#number}`;
    let status = page.deleted
      ? 404
      : page.blocked && (!model.isStaff(person.id) || page.owner === person.id)
      ? 403
      : 201;
    if (status === 201 && page.owner !== person.id) status = 403;
    if (status === 201 && original && !model.maySeePost(person.id, original.id)) status = 404;
    const reply = original ? { reply_to: original.id } : {};
    const made = await this.#expect(person, status, "POST", `/pages/${page.id}/posts`, { text, ...reply });
    if (status !== 201) return person;
    const publishedAt = made.published_at;
    model.posts.set(made.id, {
      id: made.id,
      page,
      text,
      replyTo: original?.id ?? null,
      publishedAt,
      deleted: false,
      likes: [],
    });
    return person;
  }

  async #change(act: "edit" | "remove", post: ModelPost): Promise<Person> {
    const person = this.random.chance(0.7) ? this.#owner(post.page) : this.random.pick(this.people);
    const staff = this.model.isStaff(person.id);
    const isOwner = post.page.owner === person.id;
    let status: number = post.deleted ? 404 : this.model.statusFor(person.id, post.page);
    if (status === 200 && act === "remove") status = isOwner || staff ? 204 : 403;
    if (status === 200 && act === "edit" && (!isOwner || post.page.blocked)) status = 403;
    const text = `text ${++this.#number}`;
    if (act === "edit") await this.#expect(person, status, "PATCH", `/posts/${post.id}`, { text });
    else await this.#expect(person, status, "DELETE", `/posts/${post.id}`);
    if (status === 200) post.text = text;
    if (status === 204) post.deleted = true;
    return person;
  }

  async #like(person: Person, post: ModelPost, likes: boolean): Promise<void> {
    const own = post.page.owner === person.id;
    let status: number = post.deleted ? 404 : this.model.statusFor(person.id, post.page);
    if (status === 200 && post.page.blocked && own) status = 403;
    // A like can be removed in every state of its post.
    if (!likes) status = 200;
    const answer = await this.#expect(person, status, likes ? "PUT" : "DELETE", `/posts/${post.id}/like`);
    if (!likes) assert.equal(answer.like_count !== null, this.model.maySeePost(person.id, post.id), "the count");
    if (status !== 200 || post.likes.includes(person.id) === likes) return;
    const mine = this.model.liked.get(person.id) ?? [];
    this.model.liked.set(person.id, mine.filter((id) => id !== post.id).concat(likes ? [post.id] : []));
    post.likes = post.likes.filter((id) => id !== person.id).concat(likes ? [person.id] : []);
  }

  async #follow(person: Person, page: ModelPage): Promise<Person> {
    const own = page.owner === person.id;
    const blocked = page.blocked && (!this.model.isStaff(person.id) || own);
    const status = page.deleted ? 404 : blocked ? 403 : own ? 409 : 200;
    const body = await this.#expect(person, status, "PUT", `/pages/${page.id}/follow`);
    if (status !== 200) return person;
    if (!page.following.has(person.id)) (page.isPrivate ? page.requested : page.following).add(person.id);
    assert.equal(body.state, page.following.has(person.id) ? "following" : "requested");
    return person;
  }

  async #unfollow(person: Person, page: ModelPage): Promise<Person> {
    const status = page.deleted ? 404 : 200;
    await this.#expect(person, status, "DELETE", `/pages/${page.id}/follow`);
    if (status === 200) page.following.delete(person.id), page.requested.delete(person.id);
    return person;
  }

  async #accept(page: ModelPage): Promise<Person> {
    const owner = this.#owner(page);
    const status = page.deleted ? 404 : page.blocked ? 403 : 200;
    await this.#expect(owner, status, "POST", `/pages/${page.id}/requests/accept`, { all: true });
    if (status === 200) {
      for (const id of page.requested) page.following.add(id);
      page.requested.clear();
    }
    return owner;
  }

  async #removeFollower(person: Person, page: ModelPage): Promise<Person> {
    const owner = this.#owner(page);
    const had = page.following.has(person.id) || page.requested.has(person.id);
    const status = page.deleted ? 404 : page.blocked ? 403 : had ? 204 : 404;
    await this.#expect(owner, status, "DELETE", `/pages/${page.id}/followers/${person.id}`);
    if (status === 204) page.following.delete(person.id), page.requested.delete(person.id);
    return owner;
  }

  async #block(page: ModelPage, blocks: boolean): Promise<Person> {
    const body = {
      reason: "a test",
      until: this.random.chance(0.5) ? null : new Date(Date.now() + 3_600_000).toISOString(),
    };
    const path = `/pages/${page.id}/block`;
    const status = page.deleted ? 404 : 200;
    if (blocks) await this.#expect(this.admin, status, "POST", path, body);
    else await this.#expect(this.admin, status, "DELETE", path);
    page.blocked = blocks;
    return this.admin;
  }

  async #createPage(person: Person): Promise<Person> {
    const is_private = this.random.chance(0.4);
    const made = await this.#expect(person, 201, "POST", "/pages", { name: `page ${++this.#number}`, is_private });
    this.model.addPage(made.id, person.id, false, is_private);
    return person;
  }

  async #deletePage(page: ModelPage): Promise<Person> {
    const owner = this.#owner(page);
    const status = page.deleted ? 404 : page.blocked || page.personal ? 403 : 204;
    if (page.personal) return owner;
    await this.#expect(owner, status, "DELETE", `/pages/${page.id}`);
    if (status === 204) {
      page.deleted = true;
      for (const each of this.model.posts.values()) if (each.page === page) each.deleted = true;
    }
    return owner;
  }

  async #privacy(page: ModelPage, isPrivate: boolean): Promise<Person> {
    const owner = this.#owner(page);
    const status = page.deleted ? 404 : page.blocked ? 403 : 200;
    await this.#expect(owner, status, "PATCH", `/pages/${page.id}`, { is_private: isPrivate });
    if (status !== 200) return owner;
    page.isPrivate = isPrivate;
    if (!isPrivate) {
      for (const id of page.requested) page.following.add(id);
      page.requested.clear();
    }
    return owner;
  }

  async #expect(person: Person, status: number, method: string, path: string, body?: unknown): Promise<Json> {
    const answer = await person.call(method, path, body);
    const message = `${method} ${path} ${JSON.stringify(body) ?? ""} of ${person.login}: ${
      JSON.stringify(answer.body)
    }`;
    assert.equal(answer.status, status, message);
    if (status >= 400) this.refused.add(`${method} ${status}`);
    return answer.body;
  }

  #owner(page: ModelPage): Person {
    return this.people.find(({ id }) => id === page.owner)!;
  }

  #ownPage(person: Person): ModelPage {
    const own = [...this.model.pages.values()].filter(({ owner, deleted }) => owner === person.id && !deleted);
    return this.random.pick(own);
  }
}
