/** A model of visibility, computed from the acts alone, with which the server is compared. */
export type Role = "user" | "moderator" | "admin";

export interface ModelPage {
  id: string;
  owner: string;
  isPrivate: boolean;
  blocked: boolean;
  deleted: boolean;
  personal: boolean;
  following: Set<string>;
  requested: Set<string>;
}

export interface ModelPost {
  id: string;
  page: ModelPage;
  text: string;
  replyTo: string | null;
  publishedAt: string;
  deleted: boolean;
  /** People who like it, in order. */
  likes: string[];
}

export class VisibilityModel {
  readonly pages = new Map<string, ModelPage>();
  readonly posts = new Map<string, ModelPost>();
  /** The likes of each person, in order. */
  readonly liked = new Map<string, string[]>();

  constructor(private readonly roles: ReadonlyMap<string, Role>) {}

  isStaff(user: string): boolean {
    return this.roles.get(user) !== "user";
  }

  addPage(id: string, owner: string, personal: boolean, isPrivate = false): void {
    const page = { id, owner, isPrivate, blocked: false, deleted: false, personal };
    this.pages.set(id, { ...page, following: new Set(), requested: new Set() });
  }

  /** The posts of the page. */
  maySee(user: string, page: ModelPage): boolean {
    if (page.deleted) return false;
    if (this.isStaff(user)) return true;
    if (page.blocked) return false;
    return !page.isPrivate || page.owner === user || page.following.has(user);
  }

  /** The page itself: a private one is visible to everyone, without its posts. */
  mayFind(user: string, page: ModelPage): boolean {
    return !page.deleted && (!page.blocked || this.isStaff(user));
  }

  maySeePost(user: string, id: string): boolean {
    const post = this.posts.get(id);
    return post !== undefined && !post.deleted && this.maySee(user, post.page);
  }

  /** The status of a call about something on the page. */
  statusFor(user: string, page: ModelPage): 200 | 403 | 404 {
    if (page.deleted) return 404;
    if (page.blocked && !this.isStaff(user)) return 403;
    return this.maySee(user, page) ? 200 : 404;
  }

  feed(user: string): string[] {
    return this.#shown((post) =>
      (post.page.owner === user || post.page.following.has(user)) && this.maySee(user, post.page)
    );
  }

  postsOf(page: ModelPage): string[] {
    return this.#shown((post) => post.page === page);
  }

  repliesTo(user: string, id: string): string[] {
    return this.#shown((post) => post.replyTo === id && this.maySee(user, post.page));
  }

  likesOf(user: string): string[] {
    return (this.liked.get(user) ?? []).toReversed().filter((id) => this.maySeePost(user, id));
  }

  /** The fields of a post that the model knows, as shown to this person. */
  shown(user: string, id: string): Record<string, unknown> {
    const post = this.posts.get(id)!;
    const replies = this.repliesTo(user, id);
    return {
      id,
      page: post.page.id,
      text: post.text,
      liked: post.likes.includes(user),
      like_count: post.likes.length,
      reply_count: replies.length,
      reply_to: post.replyTo === null
        ? null
        : { id: post.replyTo, state: this.maySeePost(user, post.replyTo) ? "available" : "unavailable" },
    };
  }

  #shown(fits: (post: ModelPost) => boolean): string[] {
    return [...this.posts.values()].filter((post) => !post.deleted && fits(post)).sort((a, b) =>
      a.publishedAt === b.publishedAt ? (a.id < b.id ? 1 : -1) : (a.publishedAt < b.publishedAt ? 1 : -1)
    ).map(({ id }) => id);
  }
}
