/** Followers, requests, and the privacy of a page. */
import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import { newLogin, type Person } from "../support/person.ts";

const app = sharedApp();
const ids = (list: { items: { id: string }[] }) => list.items.map(({ id }) => id);

Deno.test("Following a public page takes effect at once, and repeating it changes nothing", async () => {
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

Deno.test("Following a private page creates a request, which can be withdrawn", async () => {
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

Deno.test("An answer to a person without a request changes nothing and names the person", async () => {
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

Deno.test("An owner removes a follower, who can no longer see a private page's posts", async () => {
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

Deno.test("A page that becomes private keeps its followers; one that becomes public accepts the requests", async () => {
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

Deno.test("A private page can be found by strangers, but its posts and people cannot be seen", async () => {
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

Deno.test("Lists of pages and people are paged, each item exactly once", async () => {
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
