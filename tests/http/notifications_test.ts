import assert from "node:assert/strict";
import { encodeCursor, listAbout } from "../../contract/cursors.ts";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { until } from "../support/wait.ts";
import { notificationsRead } from "../support/settled.ts";

const app = sharedApp();

async function bell({ token }: Person, query = ""): Promise<Json> {
  return await app.ok("GET", `/notifications${query}`, { token });
}

/** The notification list in short: kind, actors, count. */
async function notifiedOf(person: Person): Promise<string[]> {
  const { items } = await bell(person);
  return items.map(({ kind, actors, count }: Json) =>
    `${kind} ${actors.map(({ login }: Json) => login).join("+")} ${count}`
  );
}

/** Waits until the notification list is exactly this. */
async function says(person: Person, wanted: string[], what: string): Promise<void> {
  let last: string[] = [];
  await until(what, async () => {
    last = await notifiedOf(person);
    return JSON.stringify(last) === JSON.stringify(wanted) ? true : undefined;
  }).catch(() => assert.deepEqual(last, wanted, what));
}

const like = (person: Person, post: string, method = "PUT") =>
  app.ok(method, `/posts/${post}/like`, { token: person.token });

Deno.test("A person is notified of followers, requests and accepted requests", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  await app.follow(bob, ann.page_id);
  await says(ann, [`follower ${bob.login} 1`], "a new follower");
  const closed = await app.page(ann, { is_private: true });
  await app.follow(bob, closed.id);
  await says(ann, [`request ${bob.login} 1`, `follower ${bob.login} 1`], "a request");
  await app.ok("POST", `/pages/${closed.id}/requests/accept`, { token: ann.token, body: { all: true } });
  await says(bob, [`accepted ${ann.login} 1`], "the requester is notified");
  await says(ann, [`follower ${bob.login} 1`], "an answered request is removed");
  await app.ok("DELETE", `/pages/${ann.page_id}/follow`, { token: bob.token });
  await says(ann, [], "a person who left is no follower");
});

Deno.test("A page that becomes public notifies its requesters that they follow it", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const page = await app.page(ann, { is_private: true });
  await app.follow(bob, page.id);
  await app.ok("PATCH", `/pages/${page.id}`, { token: ann.token, body: { is_private: false } });
  await says(bob, [`accepted ${ann.login} 1`], "accepted");
});

Deno.test("Likes of a post are one notification with a few names and the count", async () => {
  const [ann, ...likers] = await app.people(6) as [Person, ...Person[]];
  const post = await app.post(ann, { text: "Hello, world" });
  for (const liker of likers) {
    await like(liker, post.id);
    await notificationsRead(app.ctx.sql);
  }
  const names = likers.map(({ login }) => login).reverse();
  await says(ann, [`like ${names.slice(0, 3).join("+")} 5`], "five likes");
  const [item] = (await bell(ann)).items;
  assert.deepEqual([item.post, item.page.id, item.unread], [{ id: post.id, text: "Hello, world" }, ann.page_id, true]);
  await like(likers[4]!, post.id, "DELETE");
  await says(ann, [`like ${names.slice(1, 3).join("+")} 4`], "a named person removed the like");
  for (const liker of likers) await like(liker, post.id, "DELETE");
  await says(ann, [], "no likes are left");
});

Deno.test("Own actions cause no notifications", async () => {
  const [ann] = await app.people(1) as [Person];
  const post = await app.post(ann);
  await like(ann, post.id);
  await app.post(ann, { text: "an answer to myself", reply_to: post.id, tagged_users: [ann.login] });
  await notificationsRead(app.ctx.sql);
  assert.deepEqual(await notifiedOf(ann), []);
});

Deno.test("An author who likes their own post is not counted", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const post = await app.post(ann);
  await Promise.all([like(bob, post.id), like(ann, post.id)]);
  await says(ann, [`like ${bob.login} 1`], "only the other like");
});

Deno.test("Replies and tags notify the people concerned, and a reply with a tag notifies once", async () => {
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const post = await app.post(ann);
  const reply = await app.post(bob, { text: "yes", reply_to: post.id, tagged_users: [ann.login, eve.login] });
  await says(ann, [`reply ${bob.login} 1`], "the answer");
  await says(eve, [`tag ${bob.login} 1`], "the tag");
  assert.equal((await bell(eve)).items[0].post.id, reply.id);
  await app.ok("PATCH", `/posts/${reply.id}`, { token: bob.token, body: { tagged_users: [] } });
  await says(eve, [], "a removed tag");
  await app.ok("PATCH", `/posts/${reply.id}`, { token: bob.token, body: { tagged_users: [eve.login] } });
  await says(eve, [`tag ${bob.login} 1`], "a tag added again");
  await app.ok("DELETE", `/posts/${reply.id}`, { token: bob.token });
  await says(eve, [], "the post is deleted");
  await says(ann, [], "the reply too");
});

Deno.test("A person who is tagged later is notified then", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const post = await app.post(ann);
  await app.ok("PATCH", `/posts/${post.id}`, { token: ann.token, body: { tagged_users: [bob.login] } });
  await says(bob, [`tag ${ann.login} 1`], "the tag");
});

Deno.test("Notifications of hidden pages and people are hidden, and come back with them", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const { token } = await app.admin();
  const closed = await app.page(bob, { is_private: true });
  const mine = await app.post(ann);
  await app.post(bob, { text: "tags ann where she cannot see", tagged_users: [ann.login] }, closed.id);
  await app.post(bob, { text: "answers her there", reply_to: mine.id }, closed.id);
  await like(bob, mine.id);
  await notificationsRead(app.ctx.sql);
  await says(ann, [`like ${bob.login} 1`], "only visible notifications");
  await app.ok("POST", `/users/${bob.id}/block`, { token, body: { reason: "spam" } });
  await says(ann, [], "nothing from a blocked person");
  assert.equal((await bell(ann)).unread, 0);
  await app.ok("DELETE", `/users/${bob.id}/block`, { token });
  await says(ann, [`like ${bob.login} 1`], "notifications of an unblocked person");
  await app.ok("POST", `/pages/${ann.page_id}/block`, { token, body: { reason: "spam", until: null } });
  await says(ann, [], "nothing about a blocked page");
});

Deno.test("Read marks apply up to a position, and later notifications stay unread", async () => {
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const post = await app.post(ann);
  await app.follow(bob, ann.page_id);
  await notificationsRead(app.ctx.sql);
  await like(bob, post.id);
  await says(ann, [`like ${bob.login} 1`, `follower ${bob.login} 1`], "two");
  const before = await bell(ann);
  assert.equal(before.unread, 2);
  const read = (up_to: string) => app.ok("POST", "/notifications/read", { token: ann.token, body: { up_to } });
  assert.deepEqual(await read(before.items[1].cursor), { unread: 1 });
  // She saw Bob's like; Eve's arrived meanwhile.
  await like(eve, post.id);
  await says(ann, [`like ${eve.login}+${bob.login} 2`, `follower ${bob.login} 1`], "another like");
  assert.deepEqual(await read(before.items[0].cursor), { unread: 1 });
  assert.deepEqual((await bell(ann)).items.map(({ unread }: Json) => unread), [true, false]);
  assert.deepEqual(await read(before.items[1].cursor), { unread: 1 }, "a read mark never moves back");
  const all = await app.ok("POST", "/notifications/read", { token: ann.token, body: { all: true } });
  assert.deepEqual(all, { unread: 0 });
  await like(eve, post.id, "DELETE");
  await like(eve, post.id);
  await notificationsRead(app.ctx.sql);
  assert.equal((await bell(ann)).unread, 0, "a repeated like is not unread");
});

Deno.test("A read mark is a cursor of this history and this account", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const { token } = ann;
  const mark = (history: string, seq: number, owner = ann) =>
    encodeCursor(listAbout("notifications.read", owner.id), [history, String(seq)]);
  const foreign = mark(crypto.randomUUID(), 5);
  for (const up_to of ["nonsense", foreign, mark(app.ctx.stream.historyId, 5, bob)]) {
    await app.refused("invalid-cursor", "POST", "/notifications/read", { token, body: { up_to } });
  }
  for (const body of [{}, { all: false }, { up_to: 7 }, { all: true, up_to: "x" }]) {
    await app.refused("validation", "POST", "/notifications/read", { token, body });
  }
  const future = mark(app.ctx.stream.historyId, 999_999_999_999_999);
  assert.deepEqual(await app.ok("POST", "/notifications/read", { token, body: { up_to: future } }), { unread: 0 });
  await app.follow(bob, ann.page_id);
  await says(ann, [`follower ${bob.login} 1`], "a follower");
  assert.equal((await bell(ann)).unread, 1, "a later notification is unread");
});

Deno.test("Notifications are listed in pages without repetition or gaps while others arrive", async () => {
  const [ann, ...others] = await app.people(8) as [Person, ...Person[]];
  for (const other of others) {
    await app.follow(other, ann.page_id);
    await notificationsRead(app.ctx.sql);
  }
  const seen: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page: Json = await bell(ann, `?limit=3${cursor && `&cursor=${cursor}`}`);
    seen.push(...page.items.map(({ actors }: Json) => actors[0].login));
    cursor = page.next_cursor;
    await app.follow(await app.person(), ann.page_id);
    await notificationsRead(app.ctx.sql);
  }
  assert.deepEqual(seen, others.map(({ login }) => login).reverse());
  for (const cursor of ["nonsense", btoa('["x"]'), btoa("[]")]) {
    await app.refused("invalid-cursor", "GET", `/notifications?cursor=${encodeURIComponent(cursor)}`, {
      token: ann.token,
    });
  }
});

Deno.test("A muted kind is not notified from then on, and settings not named stay unchanged", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const { token } = ann;
  const all = { follower: true, request: true, accepted: true, like: true, reply: true, tag: true };
  assert.deepEqual(await app.ok("GET", "/notifications/settings", { token }), { letters: "at_once", bell: all });
  const set = (body: unknown) => app.ok("PUT", "/notifications/settings", { token, body });
  assert.deepEqual(await set({ bell: { like: false } }), { letters: "at_once", bell: { ...all, like: false } });
  assert.deepEqual(await set({ letters: "daily" }), { letters: "daily", bell: { ...all, like: false } });
  const post = await app.post(ann);
  await like(bob, post.id);
  await app.follow(bob, ann.page_id);
  await says(ann, [`follower ${bob.login} 1`], "no like");
  assert.deepEqual(await set({ bell: { like: true, tag: false } }), { letters: "daily", bell: { ...all, tag: false } });
  for (const body of [{ letters: "hourly" }, { bell: { nonsense: true } }, { bell: { like: "no" } }, { more: 1 }]) {
    await app.refused("validation", "PUT", "/notifications/settings", { token, body });
  }
});

Deno.test("Notifications are live, with a cursor that resumes, for the people concerned only", async () => {
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const listener = await app.listen(ann.token);
  const other = await app.listen(eve.token);
  await app.follow(bob, ann.page_id);
  const frame = await listener.next("notification");
  assert.deepEqual([frame.data.kind, frame.data.actors[0].login, frame.data.unread_count], ["follower", bob.login, 1]);
  const { unread_count: _, ...item } = frame.data;
  assert.deepEqual(item, (await bell(ann)).items[0]);
  await listener[Symbol.asyncDispose]();

  // Two likes while she is offline: one notification, sent once, in its current state.
  const post = await app.post(ann);
  await like(bob, post.id);
  await notificationsRead(app.ctx.sql);
  await like(eve, post.id);
  await notificationsRead(app.ctx.sql);
  const again = await app.listen(ann.token, frame.cursor);
  const replayed = await again.next("notification");
  assert.deepEqual([replayed.data.kind, replayed.data.count, replayed.data.unread_count], ["like", 2, 2]);
  await app.follow(eve, ann.page_id);
  const live = await again.next("notification");
  assert.deepEqual([live.data.kind, live.data.actors[0].login], ["follower", eve.login]);
  await again[Symbol.asyncDispose]();

  const probe = await app.post(eve, { text: "probe" });
  const heard = await other.next("post.created");
  assert.equal(heard.data.id, probe.id);
  assert.ok(!other.frames.some(({ type }: Json) => type === "notification"), "other people get no notification");
  await other[Symbol.asyncDispose]();
});
