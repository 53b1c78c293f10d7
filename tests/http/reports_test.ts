import assert from "node:assert/strict";
import { MAX_WAITING } from "../../db/reports.ts";
import { newId } from "../../lib/ids.ts";
import type { Answer, Json } from "../support/api.ts";
import { sharedApp, startApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";

const app = sharedApp();

const report = (by: Person, kind: string, id: string, reason = "spam"): Promise<Answer> =>
  app.call("POST", "/reports", { token: by.token, body: { target: { kind, id }, reason } });

async function reported(by: Person, kind: string, id: string): Promise<string> {
  const { status, body } = await report(by, kind, id);
  assert.equal(status, 201, JSON.stringify(body));
  return body.id;
}

async function queue(state = "open", app_ = app): Promise<Json[]> {
  const { token } = await app_.admin();
  const items: Json[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page = await app_.ok("GET", `/reports?state=${state}&limit=7${cursor && `&cursor=${cursor}`}`, { token });
    items.push(...page.items);
    assert.ok(items.length < 1_000, "the list does not end within 1,000 items");
    cursor = page.next_cursor;
  }
  return items;
}

Deno.test("A post, a page and an account can be reported by anyone who can see them", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const post = await app.post(ann, { text: "Buy my owls" });
  const made = [
    await report(bob, "post", post.id, "trade"),
    await report(bob, "page", ann.page_id),
    await report(bob, "account", ann.id),
  ];
  assert.deepEqual(made.map(({ status, body }) => [status, body.target.kind, body.target.name, body.state]), [
    [201, "post", `${ann.login}: Buy my owls`, "open"],
    [201, "page", ann.login, "open"],
    [201, "account", ann.login, "open"],
  ]);
  const seen = (await queue()).filter(({ reporter }) => reporter.id === bob.id);
  assert.deepEqual(seen.map(({ id }) => id), made.map(({ body }) => body.id), "in the order of arrival");
  const { target, reason, handler, outcome } = seen[0]!;
  assert.deepEqual([target.id, target.gone, reason, handler, outcome], [post.id, false, "trade", null, null]);
});

Deno.test("Reports of the same millisecond are listed in pages, each once and in order", async () => {
  await using app = await startApp();
  const reporter = await app.person();
  const ids = () => Array.from({ length: 20 }, () => newId());
  for (const [state, time] of [["open", "created_at"], ["closed", "changed_at"]] as const) {
    const closed = state === "closed";
    await app.ctx.sql.execute(
      `insert into reports (id, reporter_id, target_kind, target_id, target_name, owner_id, reason, state, handler_id,
        outcome, ${time})
      select id, $1::uuid, 'page', target, 'gone', target, i::text, $2::text, $3::uuid, $4::text,
        '2026-01-01 00:00:00.123Z'::timestamptz + i * interval '10 microseconds'
      from unnest($5::uuid[], $6::uuid[]) with ordinality t (id, target, i)`,
      [reporter.id, state, closed ? reporter.id : null, closed ? "dismissed" : null, ids(), ids()],
    );
    const numbers = Array.from({ length: 20 }, (_, i) => String(i + 1));
    const seen = (await queue(state, app)).map(({ reason }) => reason);
    assert.deepEqual(seen, state === "open" ? numbers : numbers.reverse(), state);
  }
});

Deno.test("A target that the caller cannot see cannot be reported", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const page = await app.page(ann, { is_private: true });
  const secret = await app.post(ann, {}, page.id);
  assert.equal((await report(bob, "post", secret.id)).slug, "not-found");
  assert.equal((await report(bob, "page", page.id)).status, 201, "everyone sees that the page exists");
  const { token } = await app.admin();
  await app.ok("POST", `/pages/${page.id}/block`, { token, body: { reason: "spam", until: null } });
  const eve = await app.person();
  assert.equal((await report(eve, "page", page.id)).slug, "page-blocked");
  assert.equal((await report(eve, "post", secret.id)).slug, "page-blocked");
  for (const kind of ["post", "page", "account"]) assert.equal((await report(bob, kind, newId())).slug, "not-found");
  const bodies = [
    {},
    { target: { kind: "photo", id: ann.id }, reason: "x" },
    { target: { kind: "account", id: "x" }, reason: "x" },
    { target: { kind: "account", id: ann.id }, reason: "  " },
    { target: { kind: "account", id: ann.id }, reason: "x".repeat(1_001) },
    { target: { kind: "account", id: ann.id }, reason: "\u0000" },
    { target: { kind: "account", id: ann.id, name: "y" }, reason: "x" },
  ];
  for (const body of bodies) await app.refused("validation", "POST", "/reports", { token: bob.token, body });
});

Deno.test("A repeated report by the same person is the same report until it is closed", async () => {
  const { token } = await app.admin();
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const answers = await Promise.all(Array.from({ length: 6 }, () => report(bob, "account", ann.id)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 200, 200, 201]);
  const id = answers[0]!.body.id;
  assert.ok(answers.every(({ body }) => body.id === id));
  assert.equal((await report(bob, "account", ann.id, "another reason")).body.reason, "spam");
  await app.ok("POST", `/reports/${id}/take`, { token });
  assert.deepEqual([(await report(bob, "account", ann.id)).body.id], [id], "a taken report is not closed");
  assert.notEqual((await report(eve, "account", ann.id)).body.id, id, "another person has another report");
  assert.notEqual((await report(bob, "page", ann.page_id)).body.id, id);
  await app.ok("POST", `/reports/${id}/close`, { token, body: { outcome: "dismissed" } });
  const again = await report(bob, "account", ann.id);
  assert.deepEqual([again.status, again.body.id === id], [201, false]);
});

Deno.test("Of many concurrent attempts to take a report one succeeds", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const staff = await Promise.all([app.moderator(), app.moderator(), app.moderator(), app.moderator()]);
  const id = await reported(bob, "page", ann.page_id);
  const answers = await Promise.all(staff.map(({ token }) => app.call("POST", `/reports/${id}/take`, { token })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409]);
  const [taker] = staff.filter((_, i) => answers[i]!.status === 200) as [Person];
  const [other] = staff.filter((person) => person !== taker) as [Person];
  assert.ok(answers.every(({ status, slug }) => status === 200 || slug === "report-taken"));
  const again = await app.ok("POST", `/reports/${id}/take`, { token: taker.token });
  assert.deepEqual([again.state, again.handler.id], ["taken", taker.id], "it is already taken by the same person");
  await app.refused("report-taken", "POST", `/reports/${id}/close`, {
    token: other.token,
    body: { outcome: "dismissed" },
  });
  await app.refused("report-taken", "DELETE", `/reports/${id}/take`, { token: other.token });
  const free = await app.ok("DELETE", `/reports/${id}/take`, { token: taker.token });
  assert.deepEqual([free.state, free.handler], ["open", null]);
  await app.ok("DELETE", `/reports/${id}/take`, { token: taker.token });
  await app.ok("POST", `/reports/${id}/take`, { token: other.token });
  // An administrator closes a moderator's report.
  const { token } = await app.admin();
  const closed = await app.ok("POST", `/reports/${id}/close`, { token, body: { outcome: "acted", note: "told them" } });
  assert.deepEqual([closed.state, closed.outcome, closed.note, closed.handler.login], [
    "closed",
    "acted",
    "told them",
    "admin",
  ]);
  const changes: [string, string, unknown?][] = [
    ["POST", "close", { outcome: "acted" }],
    ["POST", "take"],
    ["DELETE", "take"],
  ];
  for (const [method, verb, body] of changes) {
    await app.refused("report-closed", method, `/reports/${id}/${verb}`, { token, body });
  }
  await app.refused("not-found", "POST", `/reports/${newId()}/take`, { token });
});

Deno.test("A report can be closed after its target, its reporter or its handler was deleted", async () => {
  const { token } = await app.admin();
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const moderator = await app.moderator();
  const post = await app.post(ann);
  const page = await app.page(ann);
  const ids = [
    await reported(bob, "post", post.id),
    await reported(bob, "page", page.id),
    await reported(eve, "account", bob.id),
  ];
  for (const id of ids) await app.ok("POST", `/reports/${id}/take`, { token: moderator.token });
  await app.ok("DELETE", `/posts/${post.id}`, { token: ann.token });
  await app.ok("DELETE", `/pages/${page.id}`, { token: ann.token });
  await app.ok("DELETE", `/users/${bob.id}`, { token });
  await app.ok("DELETE", `/users/${moderator.id}`, { token });
  const taken = (await queue("taken")).filter(({ id }) => ids.includes(id));
  assert.deepEqual(taken.map(({ target, reporter, handler }) => [target.gone, reporter?.id, handler]), [
    [true, undefined, null],
    [true, undefined, null],
    [true, eve.id, null],
  ]);
  for (const id of ids) await app.ok("POST", `/reports/${id}/close`, { token, body: { outcome: "acted" } });
  const closed = (await queue("closed")).map(({ id }) => id).filter((id) => ids.includes(id));
  assert.deepEqual(closed, ids.toReversed(), "the latest first");
});

Deno.test("Moderators cannot handle reports about themselves or about an administrator's account", async () => {
  const admin = await app.admin();
  const [moderator, colleague, bob] = [await app.moderator(), await app.moderator(), await app.person()];
  const chief = await app.person({ role: "admin" });
  const post = await app.post(chief);
  const own = await app.post(moderator);
  const refused = [
    await reported(bob, "account", chief.id),
    await reported(bob, "account", moderator.id),
    await reported(bob, "post", own.id),
  ];
  for (const id of refused) {
    await app.refused("forbidden", "POST", `/reports/${id}/take`, { token: moderator.token });
    await app.refused("forbidden", "POST", `/reports/${id}/close`, {
      token: moderator.token,
      body: { outcome: "dismissed" },
    });
  }
  await app.ok("POST", `/reports/${refused[1]}/take`, { token: colleague.token });
  // Posts and pages of other staff can be handled.
  await app.ok("POST", `/reports/${await reported(bob, "post", post.id)}/take`, { token: moderator.token });
  await app.ok("POST", `/reports/${refused[0]}/close`, { token: admin.token, body: { outcome: "dismissed" } });
  // A report that needs an administrator stays open: the moderator can neither block the account nor close the report.
  const person = await app.person();
  const id = await reported(bob, "account", person.id);
  await app.ok("POST", `/reports/${id}/take`, { token: moderator.token });
  const body = { reason: "spam" };
  await app.refused("forbidden", "POST", `/users/${person.id}/block`, { token: moderator.token, body });
  await app.ok("DELETE", `/reports/${id}/take`, { token: moderator.token });
  await app.ok("POST", `/users/${person.id}/block`, { token: admin.token, body });
  await app.ok("POST", `/reports/${id}/close`, { token: admin.token, body: { outcome: "acted" } });
  await app.ok("DELETE", `/users/${chief.id}`, { token: admin.token });
});

Deno.test("Actions on reports are recorded", async () => {
  const admin = await app.admin();
  const [moderator, ann, bob] = [await app.moderator(), await app.person(), await app.person()];
  const id = await reported(bob, "account", ann.id);
  const { token } = moderator;
  await app.ok("POST", `/reports/${id}/take`, { token });
  await app.refused("report-taken", "POST", `/reports/${id}/take`, { token: (await app.moderator()).token });
  await app.ok("POST", `/reports/${id}/close`, { token, body: { outcome: "dismissed", note: "a joke" } });
  const { items } = await app.ok("GET", `/moderation/log?target=${id}`, { token: admin.token });
  assert.deepEqual(
    items.map((
      { act, actor, target, reason, before, after }: Json,
    ) => [act, actor.id, target.name, reason, before, after]),
    [
      [
        "report.close",
        moderator.id,
        `account ${ann.login}`,
        "a joke",
        { state: "taken" },
        { state: "closed", outcome: "dismissed", target_id: ann.id },
      ],
      ["report.take", moderator.id, `account ${ann.login}`, null, { state: "open" }, {
        state: "taken",
        target_id: ann.id,
      }],
    ],
  );
});

Deno.test("A person's open reports and reports per minute are limited", async () => {
  const { token } = await app.admin();
  const [ann, bob] = await app.people(2) as [Person, Person];
  await app.ctx.sql.execute(
    `insert into reports (id, reporter_id, target_kind, target_id, target_name, owner_id, reason)
    select gen_random_uuid(), $1, 'page', gen_random_uuid(), 'x', gen_random_uuid(), 'x' from generate_series(1, $2)`,
    [bob.id, MAX_WAITING - 1],
  );
  const id = await reported(bob, "account", ann.id);
  assert.equal((await report(bob, "page", ann.page_id)).slug, "too-many-reports");
  assert.equal((await report(bob, "account", ann.id)).status, 200, "an existing report is returned");
  await app.ok("POST", `/reports/${id}/close`, { token, body: { outcome: "dismissed" } });
  assert.equal((await report(bob, "page", ann.page_id)).status, 201);

  await using limited = await startApp({ RATE_LIMITS: "on" });
  const eve = await limited.person();
  const body = { target: { kind: "account", id: eve.id }, reason: "x" };
  const ask = () => limited.call("POST", "/reports", { token: eve.token, body });
  for (let i = 0; i < 10; i++) assert.ok((await ask()).status < 300);
  const { status, headers } = await ask();
  assert.equal(status, 429);
  assert.ok(Number(headers.get("retry-after")) >= 1);
});
