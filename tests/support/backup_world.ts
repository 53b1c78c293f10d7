/** An installation with something of everything in it, and the same looked for in another. */
import assert from "node:assert/strict";
import { call } from "./api.ts";
import { emptyFolder, NodeProcess } from "./node_process.ts";
import { administrator, makePeople, Person } from "./person.ts";
import { pngOf } from "./pictures.ts";
import { startRedis } from "./servers.ts";
import { countedPages, statsSettled } from "./stats_oracle.ts";
import { freshDatabase, freshDataDir } from "./database.ts";
import { TaskProcess } from "./task_process.ts";

export type Driver = "embedded" | "full";
export const DRIVERS: readonly Driver[] = ["embedded", "full"];

/** A place for an installation, with nothing in it yet. */
export interface Place extends AsyncDisposable {
  path: string;
  env: Record<string, string>;
}

/** Its own Redis, as a restore clears it. */
export async function emptyPlace(driver: Driver): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const env: Record<string, string> = {};
  const { path } = stack.use(driver === "embedded" ? await freshDataDir() : await emptyFolder());
  if (driver === "full") {
    env.DATABASE_URL = await freshDatabase();
    if (Deno.env.has("TEST_REDIS_URL")) env.REDIS_URL = stack.use(await startRedis()).url;
    const nats = Deno.env.get("TEST_NATS_URL");
    if (nats) env.NATS_URL = nats;
  }
  const running = stack.move();
  return { path, env, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** A node in a place that outlives it. */
export async function nodeIn({ path, env }: Place, more: Record<string, string> = {}): Promise<NodeProcess> {
  return await NodeProcess.on({ path, [Symbol.asyncDispose]: () => Promise.resolve() }, { ...env, ...more });
}

/**
 * What is in it: people with pages, one private; posts, one with a photo; follows, likes, pairs and an act of
 * moderation.
 */
export class BackupWorld {
  private constructor(
    readonly people: [Person, Person, Person],
    private readonly secret: string,
    private readonly post: string,
    private readonly photos: ReadonlyMap<string, Uint8Array>,
    private readonly chain: string,
  ) {}

  static async make(node: NodeProcess): Promise<BackupWorld> {
    const people = await makePeople(node, 3) as [Person, Person, Person];
    const [ann, bob, eve] = people;
    await ann.do("PATCH", `/users/${ann.id}`, { first_name: "Wilhelmina" });
    const page = (await ann.do("POST", "/pages", { name: "Hidden nest", uuid: "hidden", is_private: true })).id;
    const secret = (await ann.post("for few", {}, page)).id;
    await bob.do("PUT", `/pages/${page}/follow`);
    await ann.do("POST", `/pages/${page}/requests/accept`, { user_ids: [bob.id] });
    await eve.do("PUT", `/pages/${ann.page_id}/follow`);
    const photo = { name: "a.png", data: (await pngOf(40, 20)).toBase64() };
    const post = await ann.post("with\ta photo\nand \\N", { photos: [photo] });
    await bob.do("PUT", `/posts/${post.id}/like`);
    await eve.do("PUT", `/posts/${post.id}/like`);
    await bob.post("an answer", { reply_to: post.id });
    await ann.do("POST", "/kv/write", { data: { nest: { twigs: 1 }, "tab\tkey": "back\\slash\n" } });
    const admin = await administrator(node);
    await admin.do("PUT", `/users/${eve.id}/role`, { role: "moderator", reason: "trusted" });
    const photos = new Map<string, Uint8Array>();
    for (const { url } of (await ann.do("GET", `/posts/${post.id}`)).photos) photos.set(url, await read(node, url));
    const chain = /chain ends with (\S+)/.exec(await TaskProcess.done("moderation_verify", [], node.settings))![1]!;
    return new BackupWorld(people, secret, post.id, photos, chain);
  }

  /** The same in another installation, as people see it. */
  async holdsIn(node: NodeProcess): Promise<void> {
    const [ann, bob, eve] = this.people.map(({ login, password }) => new Person(node, login, password)) as [
      Person,
      Person,
      Person,
    ];
    for (const person of [ann, bob, eve]) await person.signIn();
    assert.equal((await bob.call("GET", `/posts/${this.secret}`)).status, 200, "a follower of the private page");
    const stranger = await makePeople(node, 1, "stranger").then(([person]) => person!);
    assert.equal((await stranger.call("GET", `/posts/${this.secret}`)).status, 404, "a stranger to the private page");
    for (const [url, bytes] of this.photos) assert.deepEqual(await read(node, url), bytes, "another photo");
    const post = await ann.do("GET", `/posts/${this.post}`);
    assert.equal(post.text, "with\ta photo\nand \\N");
    assert.equal(post.like_count, 2);
    const { data } = await ann.do("POST", "/kv/read", { keys: ["nest", "tab\tkey"] });
    assert.deepEqual(data, { nest: { twigs: 1 }, "tab\tkey": "back\\slash\n" });
    assert.equal((await eve.do("GET", "/users/me")).role, "moderator");
    const found = await bob.do("GET", "/search?q=wilhelmna");
    assert.ok(JSON.stringify(found).includes(ann.id), "search does not find who was there");
    await TaskProcess.done("moderation_verify", ["--known", this.chain], node.settings);
    await ann.post("after the restore");
    await statsSettled(node.sql);
    const { totals } = await ann.do("GET", `/pages/${ann.page_id}/stats`);
    assert.deepEqual(totals, (await countedPages(node.sql)).get(ann.page_id));
  }
}

async function read(node: NodeProcess, path: string): Promise<Uint8Array> {
  const response = await fetch(new URL(path, node.url));
  assert.equal(response.status, 200, path);
  return await response.bytes();
}

/** Whether somebody can sign in, and so is in this installation. */
export async function knows(node: NodeProcess, { login, password }: Person): Promise<boolean> {
  return (await call(node, "POST", "/security/login", { body: { login, password } })).status === 200;
}
