/** The posts of a load: plain, replies, with photos, on a page with email followers, on a private page. */
import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import type { FailoverPeople } from "./failover_people.ts";
import type { PatientClient } from "./patient_client.ts";
import type { Person } from "./person.ts";
import { jpegOf } from "./pictures.ts";
import type { Seeded } from "./seeded.ts";
import { until } from "./wait.ts";

export type PostKind = "post" | "reply" | "photo" | "emailed" | "private";

export interface MadePost {
  kind: PostKind;
  id: string;
  author: Person;
  /** When it was acknowledged. */
  at: number;
  replyTo: string | null;
}

/** Replies and likes are about the newest posts, as of people. */
const NEWEST = 50;
const PHOTO = { name: "photo.jpg", data: (await jpegOf(64, 64)).toBase64() };

export class FailoverPosts {
  /** By their texts. */
  readonly made = new Map<string, MadePost>();
  #public: MadePost[] = [];
  #number = 0;

  constructor(
    private readonly random: Seeded,
    private readonly client: PatientClient,
    private readonly people: FailoverPeople,
    private readonly prefix: string,
  ) {}

  async make(kind: PostKind): Promise<void> {
    const { random, people } = this;
    const author = kind === "private" || kind === "emailed" ? people.owner : random.pick(people.all);
    const page = kind === "private" ? people.privatePage : kind === "emailed" ? people.emailedPage : author.page_id;
    // A private reply to a public post would notify the author of that post.
    const original = kind === "reply" || (kind === "private" && random.chance(0.5)) ? this.toLike(author) : undefined;
    if (kind === "reply" && !original) return await this.make("post");
    const text = `${this.prefix}${++this.#number} ${kind}`;
    const body = {
      text,
      ...(original && { reply_to: original.id }),
      ...(kind === "photo" && { photos: [PHOTO] }),
    };
    const { body: post, at } = await this.client.write(author, "POST", `/pages/${page}/posts`, body, kind === "photo");
    const made = { kind, id: post.id, author, at, replyTo: original?.id ?? null };
    this.made.set(text, made);
    if (kind === "post" || kind === "reply") this.#public.push(made);
  }

  /** A new post of somebody else, if there is any. */
  toLike(person: Person): MadePost | undefined {
    const posts = this.#public.slice(-NEWEST).filter(({ author }) => author !== person);
    return posts.length > 0 ? this.random.pick(posts) : undefined;
  }

  of(kind: PostKind): MadePost[] {
    return [...this.made.values()].filter((post) => post.kind === kind);
  }

  /** Waits until no photo is in progress. Photos whose jobs Redis has lost are queued again at once. */
  async photosReady(sql: Sql): Promise<void> {
    await until("all photos are ready", async () => {
      await sql.execute(
        "update jobs set run_at = now() where kind = 'photo.crop' and state = 'waiting' and run_at > now()",
      );
      const [row] = await sql.query<{ n: number }>(
        "select count(*)::int as n from posts where text like $1 and state = 'processing'",
        [`${this.prefix}%`],
      );
      return row!.n === 0;
    }, { everyMs: 200 });
  }

  /** Everything acknowledged is stored once, as it was sent, and its photos are ready. */
  async holdAgainst(sql: Sql): Promise<void> {
    const rows = await sql.query<{ text: string; n: number; stored: string }>(
      `select text, count(*)::int as n, min(p.id || ' ' || p.state || ' ' || coalesce(reply_to::text, '-') || ' ' || (
        select count(*) from photos f where f.post_id = p.id and f.state = 'ready')) as stored
      from posts p where text like $1 group by text`,
      [`${this.prefix}%`],
    );
    const stored = new Map(rows.map((row) => [row.text, row.stored]));
    const wrong = [...this.made].flatMap(([text, { id, kind, replyTo }]) => {
      const sent = `${id} ready ${replyTo ?? "-"} ${kind === "photo" ? 1 : 0}`;
      return stored.get(text) === sent ? [] : [{ text, sent, stored: stored.get(text) }];
    });
    const doubled = rows.filter(({ n }) => n > 1).map(({ text }) => text);
    const unknown = rows.filter(({ text }) => !this.made.has(text));
    assert.deepEqual({ wrong, doubled, unknown }, { wrong: [], doubled: [], unknown: [] });
  }
}
