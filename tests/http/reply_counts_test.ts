import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";

const app = sharedApp();

/** Every reply count that a person sees must equal the number of replies they can page through. */
async function repliesOf(post: Json, { token }: Person): Promise<number> {
  const { items } = await app.ok("GET", `/posts/${post.id}/replies?limit=100`, { token });
  const places = [
    await app.ok("GET", `/posts/${post.id}`, { token }),
    ...(await app.ok("GET", `/pages/${post.page.id}/posts`, { token })).items,
    ...(await app.ok("GET", "/feed", { token })).items,
  ].filter(({ id }) => id === post.id);
  assert.ok(places.length >= 2);
  for (const { reply_count } of places) assert.equal(reply_count, items.length);
  return items.length;
}

Deno.test("Reply counts equal the list that each viewer can page through, also when pages change", async () => {
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const [admin, moderator] = [await app.admin(), await app.moderator()];
  const post = await app.post(ann);
  const secret = await app.page(bob, { is_private: true });
  for (const person of [bob, eve, moderator]) await app.follow(person, ann.page_id);
  const counts = async () => {
    const all = [];
    for (const person of [ann, bob, eve, moderator]) all.push(await repliesOf(post, person));
    return all;
  };
  await app.post(bob, { reply_to: post.id }, secret.id);
  assert.deepEqual(await counts(), [0, 1, 0, 1]);
  await app.post(eve, { reply_to: post.id });
  assert.deepEqual(await counts(), [1, 2, 1, 2]);
  await app.follow(eve, secret.id);
  await app.ok("POST", `/pages/${secret.id}/requests/accept`, { token: bob.token, body: { all: true } });
  assert.deepEqual(await counts(), [1, 2, 2, 2], "a follower sees it");
  await app.ok("PATCH", `/pages/${secret.id}`, { token: bob.token, body: { is_private: false } });
  assert.deepEqual(await counts(), [2, 2, 2, 2]);
  await app.ok("PATCH", `/pages/${secret.id}`, { token: bob.token, body: { is_private: true } });
  assert.deepEqual(await counts(), [1, 2, 2, 2]);
  const block = { token: admin.token, body: { reason: "a test", until: null } };
  await app.ok("POST", `/pages/${eve.page_id}/block`, block);
  assert.deepEqual(await counts(), [0, 1, 1, 2], "staff see the replies of a blocked page");
  await app.ok("DELETE", `/pages/${eve.page_id}/block`, { token: admin.token });
  await app.ok("POST", `/users/${bob.id}/block`, block);
  assert.deepEqual([await repliesOf(post, ann), await repliesOf(post, eve)], [1, 1]);
  await app.ok("DELETE", `/users/${bob.id}/block`, { token: admin.token });
  assert.deepEqual([await repliesOf(post, ann), await repliesOf(post, eve)], [1, 2]);
});

Deno.test("On the socket each listener gets the counts of replies that they may see", async () => {
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const post = await app.post(ann);
  const secret = await app.page(bob, { is_private: true });
  for (const person of [bob, eve]) await app.follow(person, ann.page_id);
  const listeners = await Promise.all([ann, bob, eve].map(({ token }) => app.listen(token)));
  for (const listener of listeners) await listener.next("hello");
  const heard = async (type: string, fits: (data: Json) => boolean = () => true) =>
    await Promise.all(listeners.map(async (listener) => {
      const { data } = await listener.next((frame) =>
        frame.type === type && frame.data.id === post.id && fits(frame.data)
      );
      return data.reply_count;
    }));
  const hello = listeners[2]!.frames.find(({ type }) => type === "hello")!.cursor!;
  const reply = await app.post(bob, { reply_to: post.id }, secret.id);
  const { data } = await listeners[1]!.next("post.replies");
  assert.deepEqual([data.id, data.reply_count], [post.id, 1]);
  await app.ok("PATCH", `/posts/${post.id}`, { token: ann.token, body: { text: "edited" } });
  assert.deepEqual(await heard("post.updated"), [0, 1, 0]);
  // People who may not see a reply get no frames about it, also not later.
  const other = await app.post(bob, { reply_to: post.id }, secret.id);
  await app.ok("DELETE", `/posts/${other.id}`, { token: bob.token });
  await app.ok("PATCH", `/posts/${post.id}`, { token: ann.token, body: { text: "edited again" } });
  assert.deepEqual(await heard("post.updated"), [0, 1, 0]);
  await using again = await app.listen(eve.token, hello);
  await again.next((frame) => frame.type === "post.updated" && frame.data.text === "edited again");
  for (const { frames } of [listeners[0]!, listeners[2]!, again]) {
    assert.deepEqual(frames.filter(({ type }) => type === "post.replies"), []);
  }
  // A frame for everyone is not lost after a frame for a few.
  await app.post(eve, { reply_to: post.id });
  assert.deepEqual(await heard("post.replies", ({ reply_count }) => reply_count > 0), [1, 2, 1]);
  const hidden = await app.post(bob, { reply_to: post.id }, secret.id);
  await using late = await app.listen(ann.token, hello);
  const missed = await late.next("post.replies");
  assert.deepEqual([missed.data.id, missed.data.reply_count], [post.id, 1]);
  for (const { id } of [reply, hidden]) await app.ok("DELETE", `/posts/${id}`, { token: bob.token });
  await app.post(bob, { reply_to: post.id }, secret.id);
  await app.ok("PATCH", `/pages/${secret.id}`, { token: bob.token, body: { is_private: false } });
  assert.deepEqual(await heard("post.replies", ({ reply_count }) => reply_count === 2), [2, 2, 2]);
  for (const listener of listeners) await listener[Symbol.asyncDispose]();
});

Deno.test("A notification of likes counts no blocked people", async () => {
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const admin = await app.admin();
  const post = await app.post(ann);
  await using listener = await app.listen(ann.token);
  for (const { token } of [bob, eve]) await app.ok("PUT", `/posts/${post.id}/like`, { token });
  await listener.next((frame) => frame.type === "notification" && frame.data.count === 2);
  await app.ok("POST", `/users/${bob.id}/block`, { token: admin.token, body: { reason: "a test", until: null } });
  const [notification] = (await app.ok("GET", "/notifications", { token: ann.token })).items;
  assert.deepEqual([notification.count, notification.actors.map(({ id }: Json) => id)], [1, [eve.id]]);
});
