import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import type { Listener, LiveFrame } from "../support/listener.ts";

const app = sharedApp();

/** Two tabs of one account. */
async function tabs({ token }: Person): Promise<[Listener, Listener]> {
  const pair = await Promise.all([app.listen(token), app.listen(token)]);
  for (const tab of pair) await tab.next("hello");
  return pair;
}

/** Waits for the same frame in every tab. */
async function inAll(listeners: readonly Listener[], type: string, fits = (_: Json) => true): Promise<LiveFrame> {
  const frames = await Promise.all(
    listeners.map((tab) => tab.next((frame) => frame.type === type && fits(frame.data))),
  );
  for (const frame of frames) assert.deepEqual(frame, frames[0]);
  return frames[0]!;
}

Deno.test("Notifications read in one tab are read in the other", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const both = await tabs(ann);
  await app.follow(bob, ann.page_id);
  assert.equal((await inAll(both, "notification")).data.unread_count, 1);
  assert.deepEqual(await app.ok("POST", "/notifications/read", { token: ann.token, body: { all: true } }), {
    unread: 0,
  });
  assert.deepEqual((await inAll(both, "notifications.read")).data, { unread_count: 0 });
  for (const tab of both) await tab[Symbol.asyncDispose]();
});

Deno.test("The unread count falls when actions are undone, deleted or hidden, and rises when shown again", async () => {
  const [ann, bob, cid] = await app.people(3) as [Person, Person, Person];
  const admin = await app.admin();
  const post = await app.post(ann);
  const tab = await app.listen(ann.token);
  await tab.next("hello");
  const block = (method: string, path: string) =>
    app.ok(method, path, {
      token: admin.token,
      ...(method === "POST" ? { body: { reason: "a test", until: null } } : {}),
    });
  const reply = () => app.post(cid, { reply_to: post.id });
  let answer = await reply();
  const counts = [
    ["notification", 1, () => Promise.resolve()],
    ["notification", 2, () => app.follow(bob, ann.page_id)],
    ["notifications.read", 1, () => app.ok("DELETE", `/pages/${ann.page_id}/follow`, { token: bob.token })],
    ["notification", 2, () => app.ok("PUT", `/posts/${post.id}/like`, { token: bob.token })],
    ["notifications.read", 1, () => app.ok("DELETE", `/posts/${post.id}/like`, { token: bob.token })],
    ["notifications.read", 0, () => app.ok("DELETE", `/posts/${answer.id}`, { token: cid.token })],
    ["notification", 1, async () => answer = await reply()],
    ["notifications.read", 0, () => block("POST", `/pages/${cid.page_id}/block`)],
    ["notifications.read", 1, () => block("DELETE", `/pages/${cid.page_id}/block`)],
    ["notifications.read", 0, () => app.ok("DELETE", `/posts/${post.id}`, { token: ann.token })],
    ["notifications.read", 1, () => app.follow(bob, ann.page_id)],
    ["notifications.read", 0, () => block("POST", `/users/${bob.id}/block`)],
  ] as const;
  for (const [i, [type, unread, act]] of counts.entries()) {
    await act();
    const { data } = await tab.next((frame) => frame.type === type);
    assert.equal(data.unread_count, unread, `after act ${i}`);
    assert.equal(
      (await app.ok("GET", "/notifications", { token: ann.token })).unread,
      unread,
      `the list after act ${i}`,
    );
  }
  await tab[Symbol.asyncDispose]();
});

Deno.test("Changes of follow relations are sent to the person's other tabs only", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const page = await app.page(ann, { is_private: true });
  const both = await tabs(bob);
  await using other = await app.listen(ann.token);
  const state = async (expected: string, id = page.id) => {
    assert.deepEqual((await inAll(both, "following.changed")).data, { page_id: id, state: expected });
  };
  const answer = (verb: string) =>
    app.ok("POST", `/pages/${page.id}/requests/${verb}`, { token: ann.token, body: { all: true } });
  await app.follow(bob, ann.page_id);
  await state("following", ann.page_id);
  await app.ok("DELETE", `/pages/${ann.page_id}/follow`, { token: bob.token });
  await state("none", ann.page_id);
  for (const [verb, then] of [["reject", "none"], ["accept", "following"]] as const) {
    await app.follow(bob, page.id);
    await state("requested");
    await answer(verb);
    await state(then);
  }
  await app.ok("DELETE", `/pages/${page.id}/followers/${bob.id}`, { token: ann.token });
  await state("none");
  const own = await app.page(bob);
  await state("own", own.id);
  await app.post(ann);
  await other.next("post.created");
  assert.ok(!other.frames.some(({ type }) => type === "following.changed"), "the page's owner got the frame");
  for (const tab of both) await tab[Symbol.asyncDispose]();
});

Deno.test("A like in one tab is sent to the person's other tabs only", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const post = await app.post(ann);
  const both = await tabs(bob);
  await using other = await app.listen(ann.token);
  for (const [method, liked] of [["PUT", true], ["DELETE", false]] as const) {
    for (let i = 0; i < 2; i++) await app.ok(method, `/posts/${post.id}/like`, { token: bob.token });
    assert.deepEqual((await inAll(both, "post.liked")).data, { id: post.id, page_id: ann.page_id, liked });
  }
  await other.next((frame) => frame.type === "post.likes" && frame.data.like_count === 0);
  assert.ok(!other.frames.some(({ type }) => type === "post.liked"));
  const likes = both[0].frames.filter(({ type }) => type === "post.liked");
  assert.equal(likes.length, 2, "a repeated like changes nothing");
  for (const tab of both) await tab[Symbol.asyncDispose]();
});

Deno.test("New names of a page, its handle and its owner are sent to those who see its posts", async () => {
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const page = await app.page(ann);
  await app.follow(bob, page.id);
  const listeners = await Promise.all([ann, bob].map(({ token }) => app.listen(token)));
  await using stranger = await app.listen(eve.token);
  for (const listener of listeners) await listener.next("hello");
  const uuid = `h${crypto.randomUUID().slice(0, 8)}`;
  await app.ok("PATCH", `/pages/${page.id}`, { token: ann.token, body: { name: "A new name", uuid } });
  const { data } = await inAll(listeners, "page.updated");
  assert.deepEqual(data.page, { id: page.id, uuid, name: "A new name", avatar_url: null });
  assert.equal(data.page_id, page.id);
  await app.ok("PATCH", `/users/${ann.id}`, { token: ann.token, body: { first_name: "Grace" } });
  const renamed = await inAll(listeners, "page.updated", ({ page_id }) => page_id === page.id);
  assert.deepEqual([renamed.data.author.first_name, renamed.data.author.id], ["Grace", ann.id]);
  await app.post(eve);
  await stranger.next("post.created");
  assert.ok(!stranger.frames.some(({ type }) => type === "page.updated"));
  for (const listener of listeners) await listener[Symbol.asyncDispose]();
});

Deno.test("Reply counts update on the socket, and a blocked page's name does not", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const admin = await app.admin();
  await app.follow(bob, ann.page_id);
  const post = await app.post(ann);
  await using listener = await app.listen(bob.token);
  await listener.next("hello");
  const reply = await app.post(bob, { reply_to: post.id });
  const counted = async (reply_count: number) => {
    const { data } = await listener.next((frame) => frame.type === "post.replies");
    assert.deepEqual(data, { id: post.id, page_id: ann.page_id, reply_count });
  };
  await counted(1);
  await app.ok("DELETE", `/posts/${reply.id}`, { token: bob.token });
  await counted(0);
  await app.ok("POST", `/pages/${ann.page_id}/block`, { token: admin.token, body: { reason: "a test", until: null } });
  await app.ok("PATCH", `/users/${ann.id}`, { token: ann.token, body: { first_name: "Hidden" } });
  await app.ok("DELETE", `/pages/${ann.page_id}/block`, { token: admin.token });
  await listener.next("page.shown");
  assert.ok(!listener.frames.some(({ type }) => type === "page.updated"));
});

Deno.test("A client that reconnects gets the latest state of each object once", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const page = await app.page(ann);
  await app.follow(bob, page.id);
  const post = await app.post(ann, {}, page.id);
  const first = await app.listen(bob.token);
  const { cursor } = await first.next("hello");
  await first[Symbol.asyncDispose]();
  for (let i = 0; i < 3; i++) {
    for (const method of ["PUT", "DELETE"]) await app.ok(method, `/posts/${post.id}/like`, { token: bob.token });
    await app.ok("PATCH", `/pages/${page.id}`, { token: ann.token, body: { name: `name ${i}` } });
    await app.post(ann, { reply_to: post.id });
    for (const method of ["PUT", "DELETE"]) await app.ok(method, `/pages/${ann.page_id}/follow`, { token: bob.token });
  }
  await app.ok("POST", "/notifications/read", { token: bob.token, body: { all: true } });
  const beacon = await app.post(ann, {}, page.id);
  await using again = await app.listen(bob.token, cursor);
  await again.next((frame) => frame.type === "post.created" && frame.data.id === beacon.id);
  const dataOf = (kind: string) => again.frames.filter(({ type }) => type === kind).map(({ data }) => data);
  assert.deepEqual(dataOf("post.liked").map(({ liked }) => liked), [false]);
  assert.deepEqual(dataOf("page.updated").map(({ page }) => page.name), ["name 2"]);
  assert.deepEqual(dataOf("post.replies").map(({ reply_count }) => reply_count), [3]);
  assert.deepEqual(dataOf("following.changed"), [{ page_id: ann.page_id, state: "none" }]);
  assert.deepEqual(dataOf("notifications.read"), [{ unread_count: 0 }]);
});
