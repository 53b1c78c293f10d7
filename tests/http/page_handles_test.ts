/** Handles of pages share a name space with logins. Old handles are kept for a time. */
import assert from "node:assert/strict";
import { MAX_OLD_HANDLES, pruneOldHandles } from "../../db/pages.ts";
import { sharedApp } from "../support/app.ts";
import { newLogin, type Person, registration } from "../support/person.ts";

const app = sharedApp();
const ids = (list: { items: { id: string }[] }) => list.items.map(({ id }) => id);
const isTaken = async (person: Person, uuid: string) =>
  (await app.call("POST", "/pages", { token: person.token, body: { name: "A page", uuid } })).slug === "uuid-taken";

Deno.test("Handles and logins share one name space, regardless of case", async () => {
  const [one, other] = await app.people(2);
  const uuid = newLogin("Name");
  await app.page(one!, { uuid });
  assert.ok(await isTaken(other!, uuid.toUpperCase()), "a handle of another person");
  assert.ok(await isTaken(one!, uuid.toLowerCase()), "an own handle");
  assert.ok(await isTaken(other!, one!.login.toUpperCase()), "a login of another person");
  assert.ok(await isTaken(one!, one!.login), "the own login, which is the handle of the personal page");
  await app.refused("login-taken", "POST", "/users", { body: registration(uuid.toLowerCase()) });
  const page = await app.page(other!);
  await app.refused("uuid-taken", "PATCH", `/pages/${page.id}`, { token: other!.token, body: { uuid } });
  assert.equal((await app.ok("GET", `/pages/${page.id}`, { token: other!.token })).uuid, page.uuid);
});

Deno.test("A renamed page keeps its old handle, and links to it lead to the page", async () => {
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
  assert.ok(await isTaken(other!, first.toUpperCase()), "for another person");
  assert.ok(await isTaken(one!, first), "for another page of the same owner");
  const another = await app.page(one!);
  await app.refused("uuid-taken", "PATCH", `/pages/${another.id}`, { token: one!.token, body: { uuid: first } });
  await app.refused("login-taken", "POST", "/users", { body: registration(first) });
  // Renamed there and back, twice: the previous handle is kept each time.
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

Deno.test("An old handle shows no more of a page than its current one", async () => {
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
  assert.ok(await isTaken(one!, one!.login), "for another page, while the first keeps it");
  await pruneOldHandles(sql);
  assert.ok(await isTaken(other!, uuid), "not before 30 days");
  await sql.execute("update old_handles set expires_at = now() where page_id = any($1::uuid[])", [[
    page.id,
    one!.page_id,
  ]]);
  await app.refused("not-found", "GET", `/pages/${uuid}`, { token: one!.token });
  await pruneOldHandles(sql);
  await app.page(other!, { uuid: uuid.toUpperCase() });
  assert.ok(await isTaken(other!, one!.login), "the login stays reserved for its owner");
  await app.page(one!, { uuid: one!.login });
  assert.equal((await app.ok("GET", `/pages/${next}`, { token: other!.token })).id, page.id);
});

Deno.test("A page keeps five old handles: the sixth frees the oldest, unless it is a login", async () => {
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
  // Back to a kept handle: one is released and one is kept, so their number is unchanged.
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
  assert.ok(await isTaken(other!, one!.login), "the login stays reserved for its owner");
  await app.page(one!, { uuid: one!.login });
});

Deno.test("If a page returns to its old handle while others want it, the page gets it", async () => {
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

Deno.test("An account's old handles are freed with it", async () => {
  const [owner, other] = await app.people(2);
  const first = newLogin("h");
  const page = await app.page(owner!, { uuid: first });
  await app.ok("PATCH", `/pages/${page.id}`, { token: owner!.token, body: { uuid: newLogin("h") } });
  await app.ok("DELETE", `/users/${owner!.id}`, { token: (await app.admin()).token });
  await app.page(other!, { uuid: first });
});

Deno.test("The own handle in another case is not taken", async () => {
  const person = await app.person();
  const page = await app.page(person, { uuid: newLogin("case") });
  const uuid = page.uuid.toUpperCase();
  const changed = await app.ok("PATCH", `/pages/${page.id}`, { token: person.token, body: { uuid } });
  assert.equal(changed.uuid, uuid);
});

Deno.test("Of many concurrent requests for one handle, one gets it", async () => {
  const people = await app.people(6);
  const uuid = newLogin("race");
  const answers = await Promise.all(
    people.map(({ token }) => app.call("POST", "/pages", { token, body: { name: "Mine", uuid } })),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409, 409]);
});
