import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import { newLogin } from "../support/person.ts";

const app = sharedApp();
const ids = (list: { items: { id: string }[] }) => list.items.map(({ id }) => id);

Deno.test("A post is shown as it was written", async () => {
  const [author, friend] = await app.people(2);
  const post = await app.post(author!, {
    text: "Owls 🦉 at night\n",
    tagged_users: [friend!.login.toUpperCase(), friend!.login],
    place: " A wood ",
  });
  assert.deepEqual([post.text, post.place, post.state], ["Owls 🦉 at night\n", "A wood", "ready"]);
  assert.deepEqual([post.like_count, post.reply_count, post.liked, post.reply_to], [0, 0, false, null]);
  assert.equal(post.page.id, author!.page_id);
  assert.equal(post.author.id, author!.id);
  const read = await app.ok("GET", `/posts/${post.id}`, { token: friend!.token });
  assert.deepEqual(read.tagged_users, [friend!.login]);
  assert.deepEqual({ ...post, tagged_users: [] }, { ...read, tagged_users: [] });
  assert.deepEqual(post.tagged_users, read.tagged_users);
});

Deno.test("A post's limits apply on creation and on edits, and invalid posts are not stored", async () => {
  const author = await app.person();
  const { token } = author;
  const post = await app.post(author, { text: "x".repeat(4_000), place: "p".repeat(200) });
  const wrong: [string, unknown][] = [
    ["text", "x".repeat(4_001)],
    ["text", ""],
    ["text", " \n "],
    ["text", null],
    ["place", ""],
    ["place", "p".repeat(201)],
    ["tagged_users", "ada"],
    ["tagged_users", Array(51).fill("ada")],
    ["published_at", "2020-01-01T00:00:00.000Z"],
  ];
  for (const [field, value] of wrong) {
    for (
      const [method, path] of [["POST", `/pages/${author.page_id}/posts`], ["PATCH", `/posts/${post.id}`]] as const
    ) {
      const body = { text: "Hello", [field]: value };
      const { errors } = await app.refused("validation", method, path, { token, body });
      assert.equal(errors[0].path.split(".")[0], field, `${method} ${field}`);
    }
  }
  assert.deepEqual(await app.ok("GET", `/posts/${post.id}`, { token }), post);
  assert.deepEqual(ids(await app.ok("GET", `/pages/${author.page_id}/posts`, { token })), [post.id]);
});

Deno.test("An unknown tagged user is named by the field, and nothing is stored", async () => {
  const [author, friend] = await app.people(2);
  const nobody = newLogin();
  const body = { text: "Hello", tagged_users: [friend!.login, nobody] };
  const path = `/pages/${author!.page_id}/posts`;
  const { errors } = await app.refused("validation", "POST", path, { token: author!.token, body });
  assert.deepEqual(errors.map(({ path }: { path: string }) => path), ["tagged_users.1"]);
  assert.ok(errors[0].message.includes(nobody));
  assert.deepEqual(ids(await app.ok("GET", path, { token: author!.token })), []);
  const post = await app.post(author!);
  const edit = { token: author!.token, body: { tagged_users: [nobody] } };
  await app.refused("validation", "PATCH", `/posts/${post.id}`, edit);
});

Deno.test("Editing changes only the named fields", async () => {
  const [author, friend] = await app.people(2);
  const post = await app.post(author!, { place: "Here", tagged_users: [friend!.login] });
  const edit = (body: unknown) => app.ok("PATCH", `/posts/${post.id}`, { token: author!.token, body });
  const worded = await edit({ text: "Other words" });
  assert.deepEqual([worded.text, worded.place, worded.tagged_users], ["Other words", "Here", [friend!.login]]);
  assert.ok(worded.updated_at >= post.updated_at);
  assert.equal(worded.published_at, post.published_at);
  const bare = await edit({ place: null, tagged_users: [] });
  assert.deepEqual([bare.text, bare.place, bare.tagged_users], ["Other words", null, []]);
});

Deno.test("A tagged person's login is returned in its own spelling", async () => {
  const [author, friend] = await app.people(2);
  const post = await app.post(author!, { tagged_users: [friend!.login.toUpperCase()] });
  assert.deepEqual(post.tagged_users, [friend!.login]);
});

Deno.test("A page's posts are listed newest first, in pages, also while others are published", async () => {
  const [author, reader] = await app.people(2);
  const written: string[] = [];
  for (let i = 0; i < 5; i++) written.unshift((await app.post(author!)).id);
  const seen: string[] = [];
  let path: string | null = `/pages/${author!.login}/posts?limit=2`;
  while (path) {
    const list = await app.ok("GET", path, { token: reader!.token });
    seen.push(...ids(list));
    await app.post(author!);
    path = list.next_cursor && `/pages/${author!.login}/posts?limit=2&cursor=${list.next_cursor}`;
  }
  assert.deepEqual(seen, written);
});

Deno.test("Likes are idempotent and counted, and each viewer sees their own", async () => {
  const [author, one, other] = await app.people(3);
  const { id } = await app.post(author!);
  const like = (method: string, token: string) => app.ok(method, `/posts/${id}/like`, { token });
  for (let i = 0; i < 2; i++) assert.deepEqual(await like("PUT", one!.token), { liked: true, like_count: 1 });
  assert.deepEqual(await like("PUT", other!.token), { liked: true, like_count: 2 });
  for (let i = 0; i < 2; i++) assert.deepEqual(await like("DELETE", one!.token), { liked: false, like_count: 1 });
  const shown = async (token: string) => {
    const { liked, like_count } = await app.ok("GET", `/posts/${id}`, { token });
    return [liked, like_count];
  };
  assert.deepEqual(await shown(one!.token), [false, 1]);
  assert.deepEqual(await shown(other!.token), [true, 1]);
});

Deno.test("Concurrent likes of many people are each counted once", async () => {
  const [author, ...fans] = await app.people(21);
  const { id } = await app.post(author!);
  await Promise.all(
    fans.flatMap(({ token }) => [1, 2, 3].map(() => app.ok("PUT", `/posts/${id}/like`, { token }))),
  );
  assert.equal((await app.ok("GET", `/posts/${id}`, { token: author!.token })).like_count, 20);
});

Deno.test("Liked posts are listed latest like first, without those no longer visible", async () => {
  const [author, fan] = await app.people(2);
  const page = await app.page(author!);
  const [first, second] = [await app.post(author!), await app.post(author!)];
  const hidden = await app.post(author!, {}, page.id);
  for (const { id } of [second, hidden, first]) await app.ok("PUT", `/posts/${id}/like`, { token: fan!.token });
  const liked = (query = "") => app.ok("GET", `/users/me/likes${query}`, { token: fan!.token });
  assert.deepEqual(ids(await liked()), [first.id, hidden.id, second.id]);
  const { next_cursor } = await liked("?limit=2");
  assert.deepEqual(ids(await liked(`?limit=2&cursor=${next_cursor}`)), [second.id]);
  await app.ok("PATCH", `/pages/${page.id}`, { token: author!.token, body: { is_private: true } });
  assert.deepEqual(ids(await liked()), [first.id, second.id]);
  await app.ok("DELETE", `/posts/${first.id}`, { token: author!.token });
  await app.ok("DELETE", `/posts/${second.id}/like`, { token: fan!.token });
  assert.deepEqual(ids(await liked()), []);
});

Deno.test("A reply is a post on an own page that counts at its original", async () => {
  const [author, answerer] = await app.people(2);
  const original = await app.post(author!);
  const reply = await app.post(answerer!, { reply_to: original.id });
  assert.deepEqual(reply.reply_to, { id: original.id, state: "available" });
  const shown = async () => (await app.ok("GET", `/posts/${original.id}`, { token: author!.token })).reply_count;
  assert.equal(await shown(), 1);
  assert.deepEqual(ids(await app.ok("GET", `/posts/${original.id}/replies`, { token: author!.token })), [reply.id]);
  await app.ok("DELETE", `/posts/${reply.id}`, { token: answerer!.token });
  assert.equal(await shown(), 0);
});

Deno.test("A reply to an invisible or missing post is 404 and stores nothing", async () => {
  const [author, answerer] = await app.people(2);
  const page = await app.page(author!, { is_private: true });
  const secret = await app.post(author!, {}, page.id);
  const deleted = await app.post(author!);
  await app.ok("DELETE", `/posts/${deleted.id}`, { token: author!.token });
  const path = `/pages/${answerer!.page_id}/posts`;
  for (const reply_to of [secret.id, deleted.id, "01890000-0000-7000-8000-000000000000"]) {
    await app.refused("not-found", "POST", path, { token: answerer!.token, body: { text: "Hello", reply_to } });
  }
  assert.deepEqual(ids(await app.ok("GET", path, { token: answerer!.token })), []);
});

Deno.test("A reply whose original is hidden or deleted shows it as unavailable", async () => {
  const [author, answerer, reader] = await app.people(3);
  const page = await app.page(author!);
  const [hidden, deleted] = [await app.post(author!, {}, page.id), await app.post(author!)];
  const replies = [
    await app.post(answerer!, { reply_to: hidden.id }),
    await app.post(answerer!, { reply_to: deleted.id }),
  ];
  await app.ok("PATCH", `/pages/${page.id}`, { token: author!.token, body: { is_private: true } });
  await app.ok("DELETE", `/posts/${deleted.id}`, { token: author!.token });
  const states = async (token: string) =>
    await Promise.all(replies.map(async ({ id }) => (await app.ok("GET", `/posts/${id}`, { token })).reply_to));
  const [toHidden, toDeleted] = [{ id: hidden.id }, { id: deleted.id }];
  assert.deepEqual(await states(reader!.token), [
    { ...toHidden, state: "unavailable" },
    { ...toDeleted, state: "unavailable" },
  ]);
  assert.deepEqual(await states(author!.token), [
    { ...toHidden, state: "available" },
    { ...toDeleted, state: "unavailable" },
  ]);
});

Deno.test("A reply appears in the feed of those who follow the replying page", async () => {
  const [author, answerer, fan] = await app.people(3);
  await app.follow(fan!, answerer!.page_id);
  const original = await app.post(author!);
  const reply = await app.post(answerer!, { reply_to: original.id });
  assert.deepEqual(ids(await app.ok("GET", "/feed", { token: fan!.token })), [reply.id]);
});

Deno.test("A post can be deleted by its owner and by staff only", async () => {
  const [author, stranger, moderator, admin] = await Promise.all([
    app.person(),
    app.person(),
    app.moderator(),
    app.admin(),
  ]);
  const page = await app.page(author, { is_private: true });
  for (const by of [author, moderator, admin]) {
    for (const place of [author.page_id, page.id]) {
      const { id } = await app.post(author, {}, place);
      const expected = place === page.id ? "not-found" : "forbidden";
      await app.refused(expected, "DELETE", `/posts/${id}`, { token: stranger.token });
      await app.ok("DELETE", `/posts/${id}`, { token: by.token });
      await app.refused("not-found", "GET", `/posts/${id}`, { token: author.token });
      await app.refused("not-found", "DELETE", `/posts/${id}`, { token: by.token });
    }
  }
  const { post_count } = await app.ok("GET", `/pages/${page.id}`, { token: author.token });
  assert.equal(post_count, 0);
  // This includes posts of other staff.
  const { id } = await app.post(admin);
  await app.ok("DELETE", `/posts/${id}`, { token: moderator.token });
});

Deno.test("Staff may delete a post, but not edit it", async () => {
  const [author, admin] = await Promise.all([app.person(), app.admin()]);
  const { id } = await app.post(author);
  await app.refused("forbidden", "PATCH", `/posts/${id}`, { token: admin.token, body: { text: "Rewritten" } });
  assert.equal((await app.ok("GET", `/posts/${id}`, { token: author.token })).text, "A post");
});

Deno.test("A like of a deleted post is 404, even if the page was blocked since", async () => {
  const [author, fan] = await Promise.all([app.person(), app.person()]);
  const post = await app.post(author);
  await app.ok("PUT", `/posts/${post.id}/like`, { token: fan.token });
  await app.ok("DELETE", `/posts/${post.id}`, { token: author.token });
  const { token } = await app.admin();
  await app.ok("POST", `/pages/${author.page_id}/block`, { token, body: { reason: "spam", until: null } });
  await app.refused("not-found", "PUT", `/posts/${post.id}/like`, { token: fan.token });
  const back = await app.ok("DELETE", `/posts/${post.id}/like`, { token: fan.token });
  assert.deepEqual(back, { liked: false, like_count: null });
});
