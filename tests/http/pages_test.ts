import assert from "node:assert/strict";
import { MAX_OLD_HANDLES, pruneOldHandles } from "../../db/pages.ts";
import { newLogin, type Person, registration, sharedApp } from "../support/app.ts";

const app = sharedApp();
const ids = (list: { items: { id: string }[] }) => list.items.map(({ id }) => id);
const isTaken = async (person: Person, uuid: string) =>
  (await app.call("POST", "/pages", { token: person.token, body: { name: "A page", uuid } })).slug === "uuid-taken";

Deno.test("A personal page comes with the account, bears its login and goes only with it", async () => {
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

Deno.test("A page is made with all its fields, and edited one by one", async () => {
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

Deno.test("A page's fields obey their rules, at making and at editing", async () => {
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

Deno.test("Handles and logins share one name space, without regard to case", async () => {
  const [one, other] = await app.people(2);
  const uuid = newLogin("Name");
  await app.page(one!, { uuid });
  assert.ok(await isTaken(other!, uuid.toUpperCase()), "a handle of somebody's");
  assert.ok(await isTaken(one!, uuid.toLowerCase()), "a handle of one's own");
  assert.ok(await isTaken(other!, one!.login.toUpperCase()), "a login of somebody's");
  assert.ok(await isTaken(one!, one!.login), "one's own login, which the personal page bears");
  await app.refused("login-taken", "POST", "/users", { body: registration(uuid.toLowerCase()) });
  const page = await app.page(other!);
  await app.refused("uuid-taken", "PATCH", `/pages/${page.id}`, { token: other!.token, body: { uuid } });
  assert.equal((await app.ok("GET", `/pages/${page.id}`, { token: other!.token })).uuid, page.uuid);
});

Deno.test("A renamed page keeps its old handle for itself, and links to it lead to the page", async () => {
  const [one, other] = await app.people(2);
  const [first, second] = [newLogin("h"), newLogin("h")];
  const page = await app.page(one!, { uuid: first });
  const post = await app.post(one!, {}, page.id);
  await app.ok("PATCH", `/pages/${first}`, { token: one!.token, body: { uuid: second } });
  for (const { token } of [one!, other!]) {
    for (const handle of [first, first.toUpperCase(), second]) {
      assert.deepEqual(
        [
          (await app.ok("GET", `/pages/${handle}`, { token })).id,
          (await app.ok("GET", `/pages/${handle}`, { token })).uuid,
        ],
        [page.id, second],
      );
      assert.deepEqual(ids(await app.ok("GET", `/pages/${handle}/posts`, { token })), [post.id]);
    }
  }
  assert.ok(await isTaken(other!, first.toUpperCase()), "by somebody else");
  assert.ok(await isTaken(one!, first), "by another page of the same owner");
  const another = await app.page(one!);
  await app.refused("uuid-taken", "PATCH", `/pages/${another.id}`, { token: one!.token, body: { uuid: first } });
  await app.refused("login-taken", "POST", "/users", { body: registration(first) });
  // There and back, twice: each time the handle it leaves is the one that is kept.
  for (const [to, from] of [[first, second], [second, first], [first.toUpperCase(), second]]) {
    assert.equal((await app.ok("PATCH", `/pages/${from}`, { token: one!.token, body: { uuid: to } })).uuid, to);
    assert.equal((await app.ok("GET", `/pages/${from}`, { token: other!.token })).id, page.id);
    assert.ok(await isTaken(other!, from!), `${from} after ${to}`);
  }
  await app.ok("DELETE", `/pages/${page.id}`, { token: one!.token });
  for (const handle of [first, second]) {
    await app.refused("not-found", "GET", `/pages/${handle}`, { token: one!.token });
    await app.page(other!, { uuid: handle });
  }
});

Deno.test("An old handle shows no more of a page than its present one does", async () => {
  const [owner, stranger] = await app.people(2);
  const first = newLogin("h");
  const page = await app.page(owner!, { uuid: first, is_private: true });
  await app.ok("PATCH", `/pages/${page.id}`, { token: owner!.token, body: { uuid: newLogin("h") } });
  await app.refused("not-found", "GET", `/pages/${first}/posts`, { token: stranger!.token });
  await app.refused("forbidden", "PATCH", `/pages/${first}`, { token: stranger!.token, body: { name: "Mine" } });
  const moderator = await app.moderator();
  const until = new Date(Date.now() + 60_000).toISOString();
  await app.ok("POST", `/pages/${first}/block`, { token: moderator.token, body: { reason: "Spam", until } });
  await app.refused("page-blocked", "GET", `/pages/${first}`, { token: stranger!.token });
});

Deno.test("After 30 days an old handle is free; a login never is", async () => {
  const [one, other] = await app.people(2);
  const [uuid, next] = [newLogin("h"), newLogin("h")];
  const { sql } = app.ctx;
  const page = await app.page(one!, { uuid });
  await app.ok("PATCH", `/pages/${uuid}`, { token: one!.token, body: { uuid: next } });
  await app.ok("PATCH", `/pages/${one!.login}`, { token: one!.token, body: { uuid: newLogin("h") } });
  const [{ days } = { days: 0 }] = await sql.query<{ days: number }>(
    "select extract(epoch from expires_at - now()) / 86400 as days from old_handles where handle = $1",
    [uuid],
  );
  assert.ok(Number(days) > 29.9 && Number(days) <= 30, `${days} days`);
  assert.ok(await isTaken(one!, one!.login), "by another page, while the first keeps it");
  await pruneOldHandles(sql);
  assert.ok(await isTaken(other!, uuid), "not before its time");
  await sql.query("update old_handles set expires_at = now() where page_id = any($1::uuid[])", [[
    page.id,
    one!.page_id,
  ]]);
  await app.refused("not-found", "GET", `/pages/${uuid}`, { token: one!.token });
  await pruneOldHandles(sql);
  await app.page(other!, { uuid: uuid.toUpperCase() });
  assert.ok(await isTaken(other!, one!.login), "the login stays its owner's");
  await app.page(one!, { uuid: one!.login });
  assert.equal((await app.ok("GET", `/pages/${next}`, { token: other!.token })).id, page.id);
});

Deno.test("A page keeps five old handles: with the sixth the oldest is free, unless it is a login", async () => {
  const [one, other] = await app.people(2);
  const { token } = one!;
  const made = await app.page(one!, { uuid: newLogin("h") });
  const first: string[] = [made.uuid];
  const rename = async (id: string, kept: string[]) => {
    const uuid = newLogin("h");
    await app.ok("PATCH", `/pages/${id}`, { token, body: { uuid } });
    kept.push(uuid);
  };
  while (first.length <= MAX_OLD_HANDLES) await rename(made.id, first);
  for (const handle of first) assert.ok(await isTaken(other!, handle), handle);
  // Back to one that it keeps, which makes no room for another: it leaves one as it takes one.
  await app.ok("PATCH", `/pages/${made.id}`, { token, body: { uuid: first[1] } });
  for (const handle of first) assert.ok(await isTaken(other!, handle), handle);
  await rename(made.id, first);
  await app.refused("not-found", "GET", `/pages/${first[0]}`, { token });
  for (const handle of first.slice(1)) {
    assert.equal((await app.ok("GET", `/pages/${handle}`, { token })).id, made.id);
    assert.ok(await isTaken(other!, handle), handle);
  }
  await app.page(other!, { uuid: first[0] });
  const personal: string[] = [one!.login];
  while (personal.length <= MAX_OLD_HANDLES + 1) await rename(one!.page_id, personal);
  await app.refused("not-found", "GET", `/pages/${one!.login}`, { token });
  assert.ok(await isTaken(other!, one!.login), "the login stays its owner's");
  await app.page(one!, { uuid: one!.login });
});

Deno.test("Of a page that returns to its old handle and others who want it, the page gets it", async () => {
  const [owner, ...others] = await app.people(4);
  const first = newLogin("h");
  const page = await app.page(owner!, { uuid: first });
  await app.ok("PATCH", `/pages/${page.id}`, { token: owner!.token, body: { uuid: newLogin("h") } });
  const [back, ...taken] = await Promise.all([
    app.call("PATCH", `/pages/${page.id}`, { token: owner!.token, body: { uuid: first } }),
    ...others.map(({ token }) => app.call("POST", "/pages", { token, body: { name: "A page", uuid: first } })),
    app.call("POST", "/users", { body: registration(first) }),
  ]);
  assert.equal(back!.status, 200);
  assert.deepEqual(taken.map(({ status }) => status), [409, 409, 409, 409]);
});

Deno.test("With an account its old handles go", async () => {
  const [owner, other] = await app.people(2);
  const first = newLogin("h");
  const page = await app.page(owner!, { uuid: first });
  await app.ok("PATCH", `/pages/${page.id}`, { token: owner!.token, body: { uuid: newLogin("h") } });
  await app.ok("DELETE", `/users/${owner!.id}`, { token: (await app.admin()).token });
  await app.page(other!, { uuid: first });
});

Deno.test("The same handle in another case is the page's own, not taken", async () => {
  const person = await app.person();
  const page = await app.page(person, { uuid: newLogin("case") });
  const uuid = page.uuid.toUpperCase();
  const changed = await app.ok("PATCH", `/pages/${page.id}`, { token: person.token, body: { uuid } });
  assert.equal(changed.uuid, uuid);
});

Deno.test("Of many who want one handle at once, one gets it", async () => {
  const people = await app.people(6);
  const uuid = newLogin("race");
  const answers = await Promise.all(
    people.map(({ token }) => app.call("POST", "/pages", { token, body: { name: "Mine", uuid } })),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409, 409]);
});

Deno.test("Tags are added and removed one by one, folded, without repetition", async () => {
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

Deno.test("Following a public page takes effect at once; repeating it or its end changes nothing", async () => {
  const [owner, fan] = await app.people(2);
  const path = `/pages/${owner!.page_id}`;
  const shown = () => app.ok("GET", path, { token: fan!.token });
  for (let i = 0; i < 2; i++) {
    assert.equal(await app.follow(fan!, owner!.page_id), "following");
    const { follow_state, follower_count } = await shown();
    assert.deepEqual([follow_state, follower_count], ["following", 1]);
  }
  assert.deepEqual(ids(await app.ok("GET", "/users/me/following", { token: fan!.token })), [owner!.page_id]);
  assert.deepEqual(ids(await app.ok("GET", `${path}/followers`, { token: fan!.token })), [fan!.id]);
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await app.ok("DELETE", `${path}/follow`, { token: fan!.token }), { state: "none" });
    assert.equal((await shown()).follower_count, 0);
  }
  await app.refused("own-page", "PUT", `${path}/follow`, { token: owner!.token });
  await app.refused("not-found", "PUT", `/pages/${newLogin()}/follow`, { token: fan!.token });
});

Deno.test("Following a private page makes a request, which can be withdrawn", async () => {
  const [owner, fan] = await app.people(2);
  const { id } = await app.page(owner!, { is_private: true });
  const requests = async () => ids(await app.ok("GET", `/pages/${id}/requests`, { token: owner!.token }));
  assert.equal(await app.follow(fan!, id), "requested");
  assert.equal(await app.follow(fan!, id), "requested");
  assert.deepEqual(await requests(), [fan!.id]);
  assert.deepEqual(ids(await app.ok("GET", "/users/me/requests", { token: fan!.token })), [id]);
  assert.deepEqual(ids(await app.ok("GET", "/users/me/following", { token: fan!.token })), []);
  assert.equal((await app.ok("GET", `/pages/${id}`, { token: fan!.token })).follower_count, 0);
  await app.ok("DELETE", `/pages/${id}/follow`, { token: fan!.token });
  assert.deepEqual(await requests(), []);
});

Deno.test("An owner accepts and rejects requests: one, several or all", async () => {
  const [owner, ...fans] = await app.people(7);
  const { id } = await app.page(owner!, { is_private: true });
  await Promise.all(fans.map((fan) => app.follow(fan, id)));
  const answer = (verb: string, body: unknown) =>
    app.ok("POST", `/pages/${id}/requests/${verb}`, { token: owner!.token, body });
  const states = async () =>
    await Promise.all(fans.map(async ({ token }) => (await app.ok("GET", `/pages/${id}`, { token })).follow_state));
  assert.deepEqual(await answer("accept", { user_ids: [fans[0]!.id, fans[0]!.id] }), { accepted: 1 });
  assert.deepEqual(await answer("reject", { user_ids: [fans[1]!.id, fans[2]!.id] }), { rejected: 2 });
  assert.deepEqual(await states(), ["following", "none", "none", "requested", "requested", "requested"]);
  assert.deepEqual(await answer("accept", { all: true }), { accepted: 3 });
  assert.deepEqual(await answer("reject", { all: true }), { rejected: 0 });
  assert.deepEqual(await states(), ["following", "none", "none", "following", "following", "following"]);
  assert.equal((await app.ok("GET", `/pages/${id}`, { token: owner!.token })).follower_count, 4);
});

Deno.test("Answering somebody who did not ask changes nothing and names them", async () => {
  const [owner, fan, stranger, follower] = await app.people(4);
  const { id } = await app.page(owner!, { is_private: true });
  await app.follow(follower!, id);
  await app.ok("POST", `/pages/${id}/requests/accept`, { token: owner!.token, body: { all: true } });
  await app.follow(fan!, id);
  for (const verb of ["accept", "reject"]) {
    for (const nobody of [stranger!.id, follower!.id, owner!.id, "01890000-0000-7000-8000-000000000000"]) {
      const body = { user_ids: [fan!.id, nobody] };
      const path = `/pages/${id}/requests/${verb}`;
      const { detail, errors } = await app.refused("not-requested", "POST", path, { token: owner!.token, body });
      assert.ok(detail.includes(nobody) && !detail.includes(fan!.id), detail);
      assert.deepEqual(errors.map(({ path }: { path: string }) => path), ["user_ids.1"]);
    }
  }
  assert.deepEqual(ids(await app.ok("GET", `/pages/${id}/requests`, { token: owner!.token })), [fan!.id]);
  assert.deepEqual(ids(await app.ok("GET", `/pages/${id}/followers`, { token: owner!.token })), [follower!.id]);
  const path = `/pages/${id}/requests/accept`;
  for (const body of [{}, { user_ids: [] }, { all: false }, { user_ids: [fan!.id], all: true }, { user_ids: ["x"] }]) {
    await app.refused("validation", "POST", path, { token: owner!.token, body });
  }
});

Deno.test("An owner removes a follower, who loses sight of a private page's posts", async () => {
  const [owner, fan] = await app.people(2);
  const { id } = await app.page(owner!, { is_private: true });
  await app.follow(fan!, id);
  await app.ok("POST", `/pages/${id}/requests/accept`, { token: owner!.token, body: { all: true } });
  const post = await app.post(owner!, {}, id);
  await app.ok("GET", `/posts/${post.id}`, { token: fan!.token });
  const path = `/pages/${id}/followers/${fan!.id}`;
  await app.ok("DELETE", path, { token: owner!.token });
  await app.refused("not-found", "GET", `/posts/${post.id}`, { token: fan!.token });
  await app.refused("not-found", "DELETE", path, { token: owner!.token });
  assert.deepEqual((await app.ok("GET", "/feed", { token: fan!.token })).items, []);
});

Deno.test("Public becoming private keeps its followers; private becoming public accepts the requests", async () => {
  const [owner, fan, asking, stranger] = await app.people(4);
  const { id } = await app.page(owner!);
  const post = await app.post(owner!, {}, id);
  const sees = async ({ token }: Person) => (await app.call("GET", `/posts/${post.id}`, { token })).status === 200;
  const turn = (is_private: boolean) => app.ok("PATCH", `/pages/${id}`, { token: owner!.token, body: { is_private } });
  await app.follow(fan!, id);
  await turn(true);
  assert.equal(await app.follow(asking!, id), "requested");
  assert.deepEqual(await Promise.all([fan!, asking!, stranger!, owner!].map(sees)), [true, false, false, true]);
  assert.equal((await turn(false)).follower_count, 2);
  assert.deepEqual(await Promise.all([fan!, asking!, stranger!].map(sees)), [true, true, true]);
  assert.deepEqual(ids(await app.ok("GET", `/pages/${id}/requests`, { token: owner!.token })), []);
  const followers = ids(await app.ok("GET", `/pages/${id}/followers`, { token: stranger!.token }));
  assert.deepEqual(followers.sort(), [fan!.id, asking!.id].sort());
});

Deno.test("A private page is found by strangers, but neither its posts nor its people are", async () => {
  const [owner, stranger, moderator] = await Promise.all([app.person(), app.person(), app.moderator()]);
  const page = await app.page(owner, { is_private: true });
  const post = await app.post(owner, {}, page.id);
  const { token } = stranger;
  assert.equal((await app.ok("GET", `/pages/${page.uuid}`, { token })).name, page.name);
  for (const path of [`/pages/${page.id}/posts`, `/pages/${page.id}/followers`, `/posts/${post.id}`]) {
    await app.refused("not-found", "GET", path, { token });
    await app.ok("GET", path, { token: moderator.token });
  }
});

Deno.test("A deleted page is gone with its posts, its handle is free and its followers follow nothing", async () => {
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

Deno.test("A blocked page is 403 for everyone but staff; its owner is told until when, and nobody posts on it", async () => {
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

Deno.test("Lists of pages and people go page after page, each exactly once", async () => {
  const [owner, ...fans] = await app.people(6);
  const { token } = owner!;
  const made = [owner!.page_id];
  for (let i = 0; i < 4; i++) made.unshift((await app.page(owner!)).id);
  for (const fan of fans) await app.follow(fan, owner!.page_id);
  const walked = async (path: string) => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const list: { items: { id: string }[]; next_cursor: string | null } = await app.ok(
        "GET",
        `${path}limit=2${cursor ? `&cursor=${cursor}` : ""}`,
        { token },
      );
      assert.ok(list.items.length <= 2);
      seen.push(...ids(list));
      cursor = list.next_cursor;
    } while (cursor);
    return seen;
  };
  assert.deepEqual(await walked("/pages?owner=me&"), made);
  assert.deepEqual(await walked(`/people/${owner!.login}/pages?`), made);
  assert.deepEqual(await walked(`/pages/${owner!.page_id}/followers?`), fans.map(({ id }) => id).reverse());
});
