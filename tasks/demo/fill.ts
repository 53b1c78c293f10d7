import { Client, Problem } from "../client.ts";
import { Progress } from "../terminal.ts";
import type { Page, Person, World } from "./world.ts";
import { sleep } from "../../lib/sleep.ts";

export interface FillOptions {
  base: string;
  password: string;
  /** Signed in as an administrator, if only administrators can create accounts. */
  admin?: Client;
}

/** Concurrent requests. */
const PARALLEL = 8;
const ATTEMPTS = 40;
const EMAIL_TRIES = 8;

interface Listed {
  id: string;
  text: string;
  reply_to: { id: string } | null;
}

/** Creates the demo data through the API. Existing data is reused, so it can be run again. */
export class Fill {
  #note: (text: string) => void = () => {};
  #clients: Client[] = [];
  #pageIds: string[] = [];
  #postIds: string[] = [];

  constructor(private readonly world: World, private readonly options: FillOptions) {}

  async run(): Promise<void> {
    const { people, pages, follows, likes } = this.world;
    this.#clients = people.map(() => this.#client());
    await this.#each("people", people, (person, i) => this.#register(person, i));
    await this.#each("emails", people, (person, i) => this.#verify(person, i));
    await this.#each("pages", pages, (page, i) => this.#makePage(page, i));
    await this.#each(
      "follows",
      follows,
      ({ person, page }) => this.#put(person, `/pages/${this.#pageIds[page]}/follow`),
    );
    const closed = pages.map((page, i) => ({ page, i })).filter(({ page }) => page.is_private);
    await this.#each("requests", closed, ({ page, i }) => this.#acceptRequests(page, i));
    await this.#writePosts();
    await this.#each("likes", likes, ({ person, post }) => this.#put(person, `/posts/${this.#postIds[post]}/like`));
  }

  async #register(person: Person, i: number): Promise<void> {
    const { password, admin } = this.options;
    try {
      await (admin ?? this.#client()).call("POST", "/users", { ...person, password });
    } catch (error) {
      if (!(error instanceof Problem) || !["login-taken", "email-taken"].includes(error.slug)) throw error;
    }
    try {
      await this.#clients[i]!.signIn(person.login, password);
    } catch (error) {
      if (!(error instanceof Problem) || error.slug !== "credentials-invalid") throw error;
      throw new Error(`"${person.login}" exists already with another password: choose another --seed or --password`);
    }
  }

  /** Reads the code from the bundled mailbox. */
  async #verify({ email }: Person, i: number): Promise<void> {
    const client = this.#clients[i]!;
    const account = await client.call<{ email_verified: boolean }>("GET", "/users/me");
    if (account.email_verified) return;
    for (let attempt = 1;; attempt++) {
      const { letters } = await this.#inbox(email);
      const code = letters.map(({ text }) => /\b[A-Z0-9]{8}\b/.exec(text)?.[0]).find((found) => found !== undefined);
      try {
        if (code !== undefined) return await client.call("POST", "/security/verify", { code });
      } catch (error) {
        if (!(error instanceof Problem) || error.slug !== "code-invalid") throw error;
        // The code of an earlier run has expired. The email with a recent one is still on its way.
        await client.call("POST", "/security/code").catch((error) => {
          if (!(error instanceof Problem) || error.slug !== "rate-limited") throw error;
        });
      }
      if (attempt === EMAIL_TRIES) throw new Error(`No email with a code arrived for ${email}`);
      await sleep(500 * attempt);
    }
  }

  async #inbox(email: string): Promise<{ letters: { text: string }[] }> {
    try {
      return await this.#client().call("POST", "/mail/inbox", { email, password: this.options.password });
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      const advice = "start it with REGISTRATION=admin and give --admin-login and --admin-password";
      throw new Error(
        `This installation sends its emails to other servers, so the demo cannot read the codes: ${advice}`,
      );
    }
  }

  async #makePage({ uuid, owner, name, description, tags, is_private, personal }: Page, i: number): Promise<void> {
    const client = this.#clients[owner]!;
    try {
      this.#pageIds[i] = (await client.call<{ id: string }>("GET", `/pages/${uuid}`)).id;
      return;
    } catch (error) {
      if (personal || !(error instanceof Problem) || error.status !== 404) throw error;
    }
    const body = { uuid, name, description, tags, is_private };
    this.#pageIds[i] = (await client.call<{ id: string }>("POST", "/pages", body)).id;
  }

  async #acceptRequests({ owner }: Page, i: number): Promise<void> {
    const welcome = new Set(
      this.world.follows.filter(({ page, accepted }) => page === i && accepted)
        .map(({ person }) => this.world.people[person]!.login),
    );
    const client = this.#clients[owner]!;
    const asking = await all<{ id: string; login: string }>(client, `/pages/${this.#pageIds[i]}/requests`);
    const user_ids = asking.filter(({ login }) => welcome.has(login)).map(({ id }) => id);
    if (user_ids.length > 0) await client.call("POST", `/pages/${this.#pageIds[i]}/requests/accept`, { user_ids });
  }

  /** Posts first, then replies to them. */
  async #writePosts(): Promise<void> {
    const { pages, posts } = this.world;
    const known = new Map<string, string>();
    const written = pages.map((page, i) => ({ page, i })).filter(({ i }) => posts.some(({ page }) => page === i));
    await this.#each("what is there", written, async ({ page, i }) => {
      const path = `/pages/${this.#pageIds[i]}/posts`;
      for (const { id, text } of await all<Listed>(this.#clients[page.owner]!, path)) known.set(`${i} ${text}`, id);
    });
    const numbered = posts.map((post, n) => ({ post, n }));
    for (const [name, replies] of [["posts", false], ["replies", true]] as const) {
      await this.#each(
        name,
        numbered.filter(({ post }) => (post.reply_to !== null) === replies),
        async ({ post, n }) => {
          const { page, text, place, tagged, reply_to } = post;
          const there = known.get(`${page} ${text}`);
          if (there !== undefined) return void (this.#postIds[n] = there);
          const body = {
            text,
            ...(place === null ? {} : { place }),
            ...(tagged.length === 0 ? {} : { tagged_users: tagged }),
            ...(reply_to === null ? {} : { reply_to: this.#postIds[reply_to] }),
          };
          const client = this.#clients[pages[page]!.owner]!;
          const made = await client.call<{ id: string }>("POST", `/pages/${this.#pageIds[page]}/posts`, body);
          this.#postIds[n] = made.id;
        },
      );
    }
  }

  async #put(person: number, path: string): Promise<void> {
    await this.#clients[person]!.call("PUT", path);
  }

  #client(): Client {
    const onWait = (seconds: number, why: string) => this.#note(`waiting ${Math.ceil(seconds)} s: ${why}`);
    return new Client(this.options.base, { attempts: ATTEMPTS, onWait });
  }

  /** Runs a few at once. The first failure ends everything. */
  async #each<T>(name: string, items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
    const progress = new Progress(name, items.length);
    this.#note = (text) => progress.note(text);
    let next = 0;
    let failed = false;
    const worker = async () => {
      for (let i = next++; i < items.length && !failed; i = next++) {
        try {
          await work(items[i]!, i);
        } catch (error) {
          failed = true;
          throw error;
        }
        progress.step();
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    progress.end();
  }
}

async function all<T>(client: Client, path: string): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: { items: T[]; next_cursor: string | null } = await client.call("GET", `${path}?limit=100${query}`);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}
