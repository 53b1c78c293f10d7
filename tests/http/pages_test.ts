import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import { newLogin, type Person } from "../support/person.ts";

const app = sharedApp();
const ids = (list: { items: { id: string }[] }) => list.items.map(({ id }) => id);

Deno.test("A personal page is created with the account, has its login and is deleted only with it", async () => {
  const person = await app.person();
  const { token } = person;
  const page = await app.ok("GET", `/pages/${person.login.toUpperCase()}`, { token });
  assert.deepEqual([page.id, page.uuid, page.owner.id, page.is_private], [
    person.page_id,
    person.login,
    person.id,
    false,
  ]);
  await app.refused("personal-page", "DELETE", `/pages/${page.id}`, { token });
  assert.deepEqual(ids(await app.ok("GET", "/pages?owner=me", { token })), [page.id]);
});

Deno.test("A page is created with all its fields, and edited field by field", async () => {
  const person = await app.person();
  const { token } = person;
  const uuid = newLogin("Handle_-");
  const fields = { name: "Birds", uuid, description: "All of them", tags: ["Owls", "owls", "LARKS"], is_private: true };
  const page = await app.page(person, fields);
  assert.deepEqual(page.tags, ["owls", "larks"]);
  assert.deepEqual([page.name, page.uuid, page.description, page.is_private], ["Birds", uuid, "All of them", true]);
  assert.deepEqual([page.follower_count, page.post_count, page.follow_state, page.blocked], [0, 0, "none", null]);
  for (const [field, value] of Object.entries({ name: "Beasts", description: "", is_private: false })) {
    const changed = await app.ok("PATCH", `/pages/${uuid}`, { token, body: { [field]: value } });
    assert.equal(changed[field], value);
    assert.deepEqual(await app.ok("GET", `/pages/${page.id}`, { token }), changed);
  }
});

Deno.test("A page's fields are validated on creation and on edits", async () => {
  const person = await app.person();
  const page = await app.page(person);
  const wrong: [string, unknown][] = [
    ["name", ""],
    ["name", "   "],
    ["name", "x".repeat(81)],
    ["uuid", "a"],
    ["uuid", "a".repeat(65)],
    ["uuid", "with space"],
    ["uuid", "совы"],
    ["uuid", "a/b"],
    ["uuid", crypto.randomUUID()],
    ["uuid", page.id.toUpperCase()],
    ["description", "x".repeat(2_001)],
    ["is_private", "yes"],
    ["owner", person.id],
  ];
  for (const [field, value] of wrong) {
    for (const [method, path] of [["POST", "/pages"], ["PATCH", `/pages/${page.id}`]] as const) {
      const body = { ...(method === "POST" ? { name: "A page" } : {}), [field]: value };
      const { errors } = await app.refused("validation", method, path, { token: person.token, body });
      assert.equal(errors[0].path, field, `${method} ${JSON.stringify(body)}`);
    }
  }
  assert.deepEqual(await app.ok("GET", `/pages/${page.id}`, { token: person.token }), page);
  await app.page(person, { name: "x".repeat(80), uuid: newLogin().padEnd(64, "_"), description: "x".repeat(2_000) });
});

Deno.test("Tags are added and removed one by one, folded, without duplicates", async () => {
  const person = await app.person();
  const { token } = person;
  const { id } = await app.page(person);
  const tag = (method: string, name: string) =>
    app.ok(method, `/pages/${id}/tags/${encodeURIComponent(name)}`, { token }).then(({ tags }) => tags);
  assert.deepEqual(await tag("PUT", "Birds"), ["birds"]);
  assert.deepEqual(await tag("PUT", "BIRDS"), ["birds"]);
  assert.deepEqual(await tag("PUT", "СОВЫ"), ["birds", "совы"]);
  assert.deepEqual(await tag("DELETE", "never"), ["birds", "совы"]);
  assert.deepEqual(await tag("DELETE", "bIRDS"), ["совы"]);
  assert.deepEqual(await tag("PUT", "x".repeat(30)), ["совы", "x".repeat(30)]);
  for (const wrong of ["x".repeat(31), "two words", "<b>"]) {
    const path = `/pages/${id}/tags/${encodeURIComponent(wrong)}`;
    const { errors } = await app.refused("validation", "PUT", path, { token });
    assert.equal(errors[0].path, "tag");
  }
  for (let i = 0; i < 28; i++) await tag("PUT", `tag${i}`);
  await app.refused("validation", "PUT", `/pages/${id}/tags/toomany`, { token });
});

Deno.test("A page is deleted with its posts and followers, and its handle is free", async () => {
  const [owner, fan] = await app.people(2);
  const page = await app.page(owner!, { uuid: newLogin("gone") });
  const post = await app.post(owner!, {}, page.id);
  await app.follow(fan!, page.id);
  await app.ok("DELETE", `/pages/${page.id}`, { token: owner!.token });
  for (const path of [`/pages/${page.id}`, `/pages/${page.uuid}`, `/posts/${post.id}`, `/pages/${page.id}/posts`]) {
    await app.refused("not-found", "GET", path, { token: owner!.token });
  }
  assert.deepEqual(ids(await app.ok("GET", "/users/me/following", { token: fan!.token })), []);
  await app.refused("not-found", "DELETE", `/pages/${page.id}`, { token: owner!.token });
  await app.page(fan!, { uuid: page.uuid });
});

Deno.test("A blocked page is 403 except for staff, shows its end to the owner, and accepts no posts", async () => {
  const [owner, fan, moderator, admin] = await Promise.all([
    app.person(),
    app.person(),
    app.moderator(),
    app.admin(),
  ]);
  const { id } = await app.page(owner);
  const post = await app.post(owner, {}, id);
  await app.follow(fan, id);
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const path = `/pages/${id}/block`;
  const block = (by: Person, until: string | null) =>
    app.call("POST", path, { token: by.token, body: { reason: "spam", until } });
  assert.equal((await block(moderator, null)).slug, "forbidden");
  assert.deepEqual((await block(moderator, until)).body.blocked, { reason: "spam", until });
  for (const place of [`/pages/${id}`, `/pages/${id}/posts`, `/posts/${post.id}`]) {
    await app.refused("page-blocked", "GET", place, { token: fan.token });
    await app.ok("GET", place, { token: admin.token });
  }
  assert.match(
    (await app.refused("page-blocked", "GET", `/pages/${id}`, { token: owner.token })).detail,
    RegExp(until),
  );
  await app.refused("page-blocked", "POST", `/pages/${id}/posts`, { token: owner.token, body: { text: "Hello" } });
  assert.deepEqual((await app.ok("GET", "/feed", { token: fan.token })).items, []);
  assert.equal((await block(admin, null)).status, 200);
  await app.refused("forbidden", "DELETE", path, { token: moderator.token });
  assert.equal((await app.ok("DELETE", path, { token: admin.token })).blocked, null);
  assert.deepEqual(ids(await app.ok("GET", "/feed", { token: fan.token })), [post.id]);
  assert.equal((await block(moderator, new Date(Date.now() - 1_000).toISOString())).slug, "validation");
});
