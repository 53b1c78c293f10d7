/**
 * The expected notification list of each person, computed from the rules alone, without code of the server.
 */

export interface ModelPost {
  id: string;
  page: string;
  replyTo: string | null;
  tagged: Set<string>;
  /** In the order of their likes. */
  likers: string[];
}

interface Notification {
  kind: string;
  page: string;
  post: string | null;
  who: string;
  /** Latest first; at most three. */
  named: string[];
  order: number;
}

const NAMED = 3;

export class NotificationModel {
  readonly owners = new Map<string, string>();
  readonly privates = new Set<string>();
  readonly follows = new Map<string, "following" | "requested">();
  readonly posts = new Map<string, ModelPost>();
  readonly blocked = new Set<string>();
  readonly muted = new Map<string, Set<string>>();
  readonly #notified = new Map<string, Map<string, Notification>>();
  readonly #read = new Map<string, number>();
  #order = 0;

  follow(page: string, who: string): void {
    const key = `${page} ${who}`;
    if (this.follows.has(key)) return;
    const state = this.privates.has(page) ? "requested" : "following";
    this.follows.set(key, state);
    this.#notify(this.owners.get(page)!, state === "following" ? "follower" : "request", page, null, who, page);
  }

  unfollow(page: string, who: string): void {
    this.follows.delete(`${page} ${who}`);
  }

  accept(page: string): void {
    for (const [key, state] of this.follows) {
      const [of, who] = key.split(" ") as [string, string];
      if (of !== page || state !== "requested") continue;
      this.follows.set(key, "following");
      this.#notify(who, "accepted", page, null, this.owners.get(page)!, page);
    }
  }

  setPrivate(page: string, isPrivate: boolean): void {
    if (isPrivate) this.privates.add(page);
    else if (this.privates.delete(page)) this.accept(page);
  }

  post(post: ModelPost): void {
    this.posts.set(post.id, post);
    const author = this.owners.get(post.page)!;
    const original = post.replyTo === null ? undefined : this.posts.get(post.replyTo);
    const addressee = original && this.owners.get(original.page);
    if (addressee) this.#notify(addressee, "reply", post.page, post.id, author, post.id);
    this.#notifyTags(post, addressee);
  }

  tag(id: string, tagged: Set<string>): void {
    const post = this.posts.get(id)!;
    post.tagged = tagged;
    const original = post.replyTo === null ? undefined : this.posts.get(post.replyTo);
    this.#notifyTags(post, original && this.owners.get(original.page));
  }

  like(id: string, who: string): void {
    const post = this.posts.get(id)!;
    if (post.likers.includes(who)) return;
    post.likers.push(who);
    this.#notify(this.owners.get(post.page)!, "like", post.page, id, who, id);
  }

  unlike(id: string, who: string): void {
    const post = this.posts.get(id)!;
    post.likers = post.likers.filter((liker) => liker !== who);
  }

  readUpTo(who: string, order: number): void {
    this.#read.set(who, Math.max(this.#read.get(who) ?? 0, order));
  }

  /** Whether a person may see the posts of a page. */
  sees(who: string, page: string): boolean {
    const owner = this.owners.get(page)!;
    if (this.blocked.has(owner)) return false;
    return !this.privates.has(page) || owner === who || this.follows.get(`${page} ${who}`) === "following";
  }

  /** Latest first. */
  bell(user: string): { line: string; unread: boolean; order: number }[] {
    return [...this.#notified.get(user)?.values() ?? []].filter((entry) => this.#visible(user, entry))
      .sort((a, b) => b.order - a.order)
      .map((entry) => ({
        line: this.#line(user, entry),
        unread: entry.order > (this.#read.get(user) ?? 0),
        order: entry.order,
      }));
  }

  #line(user: string, { kind, page, post, who, named }: Notification): string {
    if (kind !== "like") return `${kind} ${post ?? page} by ${who}`;
    const others = this.posts.get(post!)!.likers.filter((liker) => liker !== user && !this.blocked.has(liker));
    const still = named.filter((name) => others.includes(name));
    // If all named people have removed their likes, the rules do not define who is named.
    return `like ${post} ${others.length} ${still.length > 0 ? still.join("+") : "somebody"}`;
  }

  #visible(user: string, { kind, page, post, who }: Notification): boolean {
    if (!this.sees(user, page)) return false;
    if (kind !== "like" && this.blocked.has(who)) return false;
    const shown = post === null ? undefined : this.posts.get(post);
    switch (kind) {
      case "follower":
        return this.follows.get(`${page} ${who}`) === "following";
      case "request":
        return this.follows.get(`${page} ${who}`) === "requested";
      case "accepted":
        return this.follows.get(`${page} ${user}`) === "following";
      case "like":
        return shown !== undefined && shown.likers.some((liker) => liker !== user && !this.blocked.has(liker));
      case "reply":
        return shown !== undefined && shown.replyTo !== null && this.posts.has(shown.replyTo);
      default:
        return shown !== undefined && shown.tagged.has(user);
    }
  }

  #notifyTags(post: ModelPost, addressee: string | undefined): void {
    const author = this.owners.get(post.page)!;
    // The author of the original is notified of the reply instead.
    for (const who of post.tagged) if (who !== addressee) this.#notify(who, "tag", post.page, post.id, author, post.id);
  }

  #notify(user: string, kind: string, page: string, post: string | null, who: string, about: string): void {
    if (user === who || this.muted.get(user)?.has(kind)) return;
    const list = this.#notified.get(user) ?? new Map<string, Notification>();
    this.#notified.set(user, list);
    const key = `${kind} ${about} ${kind === "like" ? "" : who}`;
    const before = list.get(key);
    if (before && (kind !== "like" || before.named.includes(who))) return;
    const named = [who, ...before?.named ?? []].slice(0, NAMED);
    list.set(key, { kind, page, post, who, named, order: ++this.#order });
  }
}
