/** Who may see which posts, at every endpoint that shows posts. */
import assert from "node:assert/strict";
import type { Json, Node } from "./api.ts";
import { NodeProcess } from "./node_process.ts";
import { administrator, makePeople, type Person } from "./person.ts";
import type { Seeded } from "./seeded.ts";
import { Acts } from "./visibility_acts.ts";
import { type ModelPage, type Role, VisibilityModel } from "./visibility_model.ts";
import { until } from "./wait.ts";

const MAX_ROUNDS = 78;
const PEOPLE = 5;
const REFUSALS = ["POST 403", "POST 404", "PUT 403", "PUT 404", "PUT 409", "PATCH 403", "DELETE 403"];

/** Random actions, after each round of which every endpoint that shows posts agrees with the model. */
export async function endpointsAgree(random: Seeded, rounds: number): Promise<void> {
  await using node = await NodeProcess.start();
  const admin = await administrator(node);
  const people = await makePeople(node, PEOPLE);
  const [moderator] = await makePeople(node, 1, "moderator");
  await admin.do("PUT", `/users/${moderator!.id}/role`, { role: "moderator" });
  await moderator!.signIn();
  const everybody = [...people, moderator!];
  const roles = new Map<string, Role>([[admin.id, "admin"], [moderator!.id, "moderator"]]);
  for (const id of ["nobody", ...people.map(({ id }) => id)]) roles.set(id, "user");
  const model = new VisibilityModel(roles);
  for (const person of everybody) model.addPage(person.page_id, person.id, true);
  const acts = new Acts(random, model, everybody, admin);
  const missing = () => REFUSALS.filter((refusal) => !acts.refused.has(refusal));
  // Continue until every action has occurred.
  for (let round = 0; round < rounds || (missing().length > 0 && round < MAX_ROUNDS); round++) {
    for (let i = random.whole(3, 14); i > 0; i--) {
      const person = await acts.next();
      // An own write is visible in the next read. Likes of other people may arrive later, by an event.
      await feedAgrees(person, model, random.pick([1, 3, 20, 40, 60]), ({ like_count: _, ...rest }) => rest);
    }
    await settled(node, admin);
    await givePhotos(node, model);
    await Promise.all([...everybody, admin].map((viewer) => allAgrees(viewer, model, random)));
    await photosAgree(node, undefined, model);
  }
  assert.deepEqual(missing(), [], "refusals that never occurred");
}

/** Waits until every like event was emitted and has reached the node's caches. */
async function settled(node: NodeProcess, admin: Person): Promise<void> {
  await until("every event has its number", async () => {
    const [row] = await node.sql.query<{ open: boolean }>(
      "select exists (select from events where seq is null) or exists (select from like_signals) as open",
    );
    return !row!.open;
  });
  // When a write is answered, the node has all earlier events.
  await admin.do("PATCH", `/pages/${admin.page_id}`, { description: crypto.randomUUID() });
}

async function allAgrees(viewer: Person, model: VisibilityModel, random: Seeded): Promise<void> {
  const limits = [random.whole(1, 8), 20, 100];
  for (const limit of limits) await feedAgrees(viewer, model, limit);
  await deepFeedAgrees(viewer, model, limits[0]!);
  for (const page of model.pages.values()) {
    const status = model.statusFor(viewer.id, page);
    await listAgrees(viewer, model, `/pages/${page.id}/posts`, status, () => model.postsOf(page));
    await followersAgree(viewer, page, status);
  }
  for (const { id, page, deleted } of model.posts.values()) {
    const status = deleted ? 404 : model.statusFor(viewer.id, page);
    const answer = await viewer.call("GET", `/posts/${id}`);
    assert.equal(answer.status, status, `GET /posts/${id} of ${viewer.login}: ${JSON.stringify(answer.body)}`);
    if (status === 200) assert.deepEqual(comparable(answer.body), model.shown(viewer.id, id));
    if (random.chance(0.4)) {
      await listAgrees(viewer, model, `/posts/${id}/replies`, status, () => model.repliesTo(viewer.id, id));
    }
  }
  await listAgrees(viewer, model, "/users/me/likes", 200, () => model.likesOf(viewer.id));
  await searchAgrees(viewer, model);
  await photosAgree(viewer.node, viewer, model);
}

/** Personal pages have the person's name, all others are a "page". */
async function searchAgrees(viewer: Person, model: VisibilityModel): Promise<void> {
  for (const [q, personal] of [["page", false], ["Ada Lovelace", true]] as const) {
    const expected = [...model.pages.values()].filter((page) =>
      page.personal === personal && model.mayFind(viewer.id, page)
    );
    const { pages } = await viewer.do("GET", `/search?q=${q}&type=pages&limit=100`);
    const found = pages.items.map(({ id, follower_count, follow_state }: Json) => ({
      id,
      follower_count,
      follow_state,
    }));
    const shown = expected.map(({ id, following, requested }) => ({
      id,
      follower_count: following.size,
      follow_state: following.has(viewer.id) ? "following" : requested.has(viewer.id) ? "requested" : "none",
    }));
    assert.deepEqual(new Set(found), new Set(shown), `search for "${q}" of ${viewer.login}`);
  }
}

/** Gives each post a photo without a file. Its content does not matter for visibility. */
async function givePhotos(node: NodeProcess, model: VisibilityModel): Promise<void> {
  const posts = [...model.posts.values()].filter(({ deleted }) => !deleted).map(({ id }) => id);
  await node.sql.execute(
    `insert into photos (id, key, post_id, name, state, format, side, created_at)
    select p.id, k.key, p.id, 'a.jpg', 'ready', 'jpeg', 1, now()
      from unnest($1::uuid[], $2::text[]) k (id, key) join posts p on p.id = k.id
    on conflict do nothing`,
    [posts, posts.map(photoKey)],
  );
}

function photoKey(post: string): string {
  return Uint8Array.fromHex(post.replaceAll("-", "")).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** For a picture with a known ETag only the permission is checked. */
async function photosAgree(node: Node, viewer: Person | undefined, model: VisibilityModel): Promise<void> {
  for (const { id, page, deleted } of model.posts.values()) {
    const seen = !deleted && model.statusFor(viewer?.id ?? "nobody", page) === 200;
    const response = await fetch(`${node.url}/api/v1/photos/${photoKey(id)}`, {
      headers: { "if-none-match": "*", ...(viewer && { authorization: `Bearer ${viewer.token}` }) },
    });
    await response.body?.cancel();
    assert.equal(response.status, seen ? 304 : 404, `the photo of ${id} for ${viewer?.login ?? "nobody"}`);
  }
}

/** A first page, usually from the actor's memory. */
async function feedAgrees(
  viewer: Person,
  model: VisibilityModel,
  limit: number,
  judged: (post: Record<string, unknown>) => Record<string, unknown> = (post) => post,
): Promise<void> {
  const expected = model.feed(viewer.id);
  const body = await viewer.do("GET", `/feed?limit=${limit}`);
  const who = `the first ${limit} of the feed of ${viewer.login}`;
  assert.deepEqual(body.items.map(({ id }: Json) => id), expected.slice(0, limit), who);
  assert.deepEqual(
    body.items.map((post: Json) => judged(comparable(post))),
    expected.slice(0, limit).map((id) => judged(model.shown(viewer.id, id))),
    who,
  );
  assert.equal(body.next_cursor !== null, expected.length > limit, `whether more follows ${who}`);
}

/** All pages: the first from memory, the others from SQL. Both show a post in the same way. */
async function deepFeedAgrees(viewer: Person, model: VisibilityModel, limit: number): Promise<void> {
  const expected = model.feed(viewer.id).slice(0, 4 * limit);
  const items: Json[] = [];
  for (let cursor: string | null = ""; cursor !== null && items.length < expected.length;) {
    const body: Json = await viewer.do("GET", `/feed?limit=${limit}${cursor ? `&cursor=${cursor}` : ""}`);
    items.push(...body.items);
    cursor = body.next_cursor;
  }
  assert.deepEqual(items.map(comparable), expected.map((id) => model.shown(viewer.id, id)));
  const first = await viewer.do("GET", `/feed?limit=${Math.min(40, Math.max(1, items.length))}`);
  assert.deepEqual(items.slice(0, 40), first.items.slice(0, items.length), "memory and SQL show the same");
}

async function listAgrees(
  viewer: Person,
  model: VisibilityModel,
  path: string,
  status: number,
  expected: () => string[],
): Promise<void> {
  const answer = await viewer.call("GET", `${path}?limit=100`);
  assert.equal(answer.status, status, `GET ${path} of ${viewer.login}: ${JSON.stringify(answer.body)}`);
  if (status !== 200) return;
  const shown = expected().slice(0, 100).map((id) => model.shown(viewer.id, id));
  assert.deepEqual(answer.body.items.map(comparable), shown, `GET ${path} of ${viewer.login}`);
}

async function followersAgree(viewer: Person, page: ModelPage, status: number): Promise<void> {
  const answer = await viewer.call("GET", `/pages/${page.id}/followers?limit=100`);
  assert.equal(answer.status, status, `followers of ${page.id} for ${viewer.login}: ${JSON.stringify(answer.body)}`);
  if (status !== 200) return;
  assert.deepEqual(answer.body.items.map(({ id }: Json) => id).sort(), [...page.following].sort(), "followers");
  const { follower_count } = await viewer.do("GET", `/pages/${page.id}`);
  assert.equal(follower_count, page.following.size, "follower_count");
}

function comparable(post: Json): Record<string, unknown> {
  const { id, page, text, liked, like_count, reply_count, reply_to } = post;
  return { id, page: page.id, text, liked, like_count, reply_count, reply_to };
}
