import assert from "node:assert/strict";
import { newId } from "../../lib/ids.ts";
import { sharedApp } from "../support/app.ts";

const app = sharedApp();
const UNSEEN = { liked: false, like_count: null };

Deno.test("A like of a private page's post can be removed by a former follower", async () => {
  const [owner, fan] = await app.people(2);
  const page = await app.page(owner!, { is_private: true });
  assert.equal(await app.follow(fan!, page.id), "requested");
  await app.ok("POST", `/pages/${page.id}/requests/accept`, { token: owner!.token, body: { all: true } });
  const post = await app.post(owner!, {}, page.id);
  await app.ok("PUT", `/posts/${post.id}/like`, { token: fan!.token });
  await app.ok("DELETE", `/pages/${page.id}/followers/${fan!.id}`, { token: owner!.token });
  await app.refused("not-found", "GET", `/posts/${post.id}`, { token: fan!.token });
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await app.ok("DELETE", `/posts/${post.id}/like`, { token: fan!.token }), UNSEEN);
  }
  assert.equal((await app.ok("GET", `/posts/${post.id}`, { token: owner!.token })).like_count, 0);
});

Deno.test("Removing a like reveals nothing of an invisible post, not even its existence", async () => {
  const [owner, stranger, fan] = await app.people(3);
  const page = await app.page(owner!);
  const post = await app.post(owner!, {}, page.id);
  await app.ok("PUT", `/posts/${post.id}/like`, { token: fan!.token });
  await app.ok("PATCH", `/pages/${page.id}`, { token: owner!.token, body: { is_private: true } });
  const answers = await Promise.all(
    [post.id, newId()].map((id) => app.ok("DELETE", `/posts/${id}/like`, { token: stranger!.token })),
  );
  assert.deepEqual(answers, [UNSEEN, UNSEEN]);
  assert.equal((await app.ok("GET", `/posts/${post.id}`, { token: owner!.token })).like_count, 1);
});

Deno.test("A like on a blocked page and a request to it can be withdrawn, also by the page's owner", async () => {
  const [owner, fan] = await app.people(2);
  const admin = await app.admin();
  const page = await app.page(owner!, { is_private: true });
  const open = await app.page(owner!);
  const post = await app.post(owner!, {}, open.id);
  await app.follow(fan!, page.id);
  for (const { token } of [owner!, fan!]) await app.ok("PUT", `/posts/${post.id}/like`, { token });
  for (const { id } of [page, open]) {
    await app.ok("POST", `/pages/${id}/block`, { token: admin.token, body: { reason: "a test", until: null } });
  }
  for (const { token } of [owner!, fan!]) {
    assert.deepEqual(await app.ok("DELETE", `/posts/${post.id}/like`, { token }), UNSEEN);
  }
  assert.equal((await app.ok("GET", `/posts/${post.id}`, { token: admin.token })).like_count, 0);
  assert.deepEqual(await app.ok("DELETE", `/pages/${page.id}/follow`, { token: fan!.token }), { state: "none" });
});

Deno.test("An own reply can be deleted in every state of its original", async () => {
  const [owner, guest] = await app.people(2);
  const page = await app.page(owner!);
  const post = await app.post(owner!, {}, page.id);
  const reply = await app.post(guest!, { reply_to: post.id });
  await app.ok("PATCH", `/pages/${page.id}`, { token: owner!.token, body: { is_private: true } });
  await app.ok("DELETE", `/posts/${reply.id}`, { token: guest!.token });
  assert.equal((await app.ok("GET", `/posts/${post.id}`, { token: owner!.token })).reply_count, 0);
});
