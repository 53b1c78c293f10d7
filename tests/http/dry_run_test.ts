import assert from "node:assert/strict";
import type { CallOptions, Json } from "../support/api.ts";
import { ownApp } from "../support/app.ts";

/** Another administrator would change what is refused. */
const app = ownApp();
const UNTIL = () => new Date(Date.now() + 3_600_000).toISOString();

/** Everything that a block writes. Notifications of earlier events may still arrive. */
async function state(): Promise<Json> {
  const [row] = await app.ctx.sql.query(
    `select (select max(seq) from events where kind <> 'notification') as seq,
      (select seq from moderation_chain) as entries,
      (select count(*) from jobs where kind like '%block_lapsed') as jobs,
      (select count(*) from sessions where ended_at is not null) as ended,
      (select json_agg(json_build_array(blocked_until, owner_blocked_until) order by id) from pages) as pages,
      (select json_agg(blocked_until order by id) from users) as users`,
  );
  return row;
}

Deno.test("A dry run of a block reports what it would affect, and changes nothing", async () => {
  const { token } = await app.admin();
  const [ann, bob, eve] = await app.people(3) as [Json, Json, Json];
  const page = await app.page(ann);
  const closed = await app.page(ann, { is_private: true });
  for (const text of ["one", "two"]) await app.post(ann, { text }, page.id);
  await app.post(ann);
  for (const id of [page.id, ann.page_id]) for (const person of [bob, eve]) await app.follow(person, id);
  assert.equal(await app.follow(bob, closed.id), "requested", "a requester does not follow yet");
  await app.ok("DELETE", `/pages/${(await app.page(ann)).id}`, { token: ann.token });
  const before = await state();
  const body = { reason: "spam", until: UNTIL() };
  const reach = await app.ok("POST", `/pages/${page.uuid}/block?dry_run=true`, { token, body });
  assert.deepEqual(reach, { dry_run: true, pages: 1, posts: 2, followers: 2 });
  const all = await app.ok("POST", `/users/${ann.id}/block?dry_run=true`, { token, body });
  assert.deepEqual(all, { dry_run: true, pages: 3, posts: 3, followers: 2 });
  assert.deepEqual(await state(), before);
  await app.ok("GET", "/users/me", { token: ann.token });

  // The block has the reported reach.
  const shown = async () => (await app.ok("GET", `/people/${ann.login}/pages`, { token: bob.token })).items.length;
  assert.equal(await shown(), 3);
  assert.equal((await app.ok("POST", `/pages/${page.id}/block?dry_run=false`, { token, body })).blocked.reason, "spam");
  await app.ok("POST", `/users/${ann.id}/block`, { token, body });
  assert.equal(await shown(), 0);
});

Deno.test("A dry run is refused exactly when the block would be", async () => {
  const admin = await app.admin();
  const [moderator, ann] = [await app.moderator(), await app.person()];
  const permanent = await app.page(ann);
  await app.ok("POST", `/pages/${permanent.id}/block`, { token: admin.token, body: { reason: "spam", until: null } });
  const gone = await app.page(ann);
  await app.ok("DELETE", `/pages/${gone.id}`, { token: ann.token });
  const body = { reason: "spam", until: UNTIL() };
  const none = "01900000-0000-7000-8000-000000000000";
  const attempts: [string, CallOptions, string][] = [
    [`/pages/${ann.page_id}/block`, { token: moderator.token, body: { ...body, until: null } }, "forbidden"],
    [`/pages/${permanent.id}/block`, { token: moderator.token, body }, "forbidden"],
    [`/pages/${ann.page_id}/block`, { token: ann.token, body }, "forbidden"],
    [`/pages/${gone.id}/block`, { token: admin.token, body }, "not-found"],
    [`/pages/nobody-${ann.login}/block`, { token: admin.token, body }, "not-found"],
    [`/pages/${ann.page_id}/block`, { token: admin.token, body: { reason: "spam" } }, "validation"],
    [
      `/pages/${ann.page_id}/block`,
      { token: admin.token, body: { ...body, until: "2020-01-01T00:00:00Z" } },
      "validation",
    ],
    [`/users/${none}/block`, { token: admin.token, body }, "not-found"],
    [`/users/${ann.id}/block`, { token: moderator.token, body }, "forbidden"],
    [`/users/${ann.id}/block`, { token: admin.token, body: { ...body, reason: "" } }, "validation"],
    [`/users/${admin.id}/block`, { token: admin.token, body }, "last-admin"],
    [`/users/${ann.id}/block`, { body }, "token-missing"],
  ];
  for (const [path, options, slug] of attempts) {
    const tried = await app.refused(slug, "POST", `${path}?dry_run=true`, options);
    const real = await app.refused(slug, "POST", path, options);
    assert.deepEqual([tried.status, tried.detail, tried.errors], [real.status, real.detail, real.errors], path);
  }
  await app.refused("validation", "POST", `/users/${ann.id}/block?dry_run=yes`, { token: admin.token, body });
  const second = await app.person({ role: "admin" });
  await app.ok("POST", `/users/${admin.id}/block?dry_run=true`, { token: second.token, body });
  await app.ok("DELETE", `/users/${second.id}`, { token: admin.token });
});
