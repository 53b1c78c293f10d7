import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import { ALL_ROLES, ownApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { childrenOf } from "../support/processes.ts";

import { freePort } from "../support/servers.ts";
import { countedPages, statsSettled } from "../support/stats_oracle.ts";
import { until } from "../support/wait.ts";

/** The address of the statistics service, for direct calls. */
const PORT = await freePort();
const app = ownApp({ ...ALL_ROLES, STATS_PORT: String(PORT) });
const NOTHING = { posts: 0, followers: 0, requests: 0, likes: 0, replies: 0 };
const DAY_MS = 86_400_000;

async function stats({ token, page_id }: Person, query = "", page = page_id): Promise<Json> {
  await statsSettled(app.ctx.sql);
  return await app.ok("GET", `/pages/${page}/stats${query}`, { token });
}

/** Changes the events of a page and rebuilds the statistics. */
async function moveEvents(page: string, kind: string, at: string): Promise<void> {
  await statsSettled(app.ctx.sql);
  await app.ctx.sql.execute("update events set at = $3 where page_id = $1 and kind = $2", [page, kind, at]);
  await app.ctx.sql.script("delete from stats.position; delete from stats.days");
  await statsSettled(app.ctx.sql);
}

function today(shift = 0): string {
  return new Date(Date.now() + shift * DAY_MS).toISOString().slice(0, 10);
}

Deno.test("A page's statistics count posts, followers, requests, likes and replies", async () => {
  const [ada, bob, eve] = await app.people(3) as [Person, Person, Person];
  const hidden = await app.page(ada, { is_private: true });
  await app.follow(bob, ada.page_id);
  await app.follow(eve, ada.page_id);
  await app.follow(bob, hidden.id);
  await app.follow(eve, hidden.id);
  const [first, second] = [await app.post(ada), await app.post(ada)];
  for (const { token } of [ada, bob, eve]) await app.ok("PUT", `/posts/${first.id}/like`, { token });
  await app.ok("PUT", `/posts/${second.id}/like`, { token: bob.token });
  const reply = await app.post(bob, { reply_to: first.id });
  await app.post(bob, { reply_to: second.id });
  const numbers = { posts: 2, followers: 2, requests: 0, likes: 4, replies: 2 };
  assert.deepEqual((await stats(ada)).totals, numbers);
  assert.deepEqual((await stats(ada, "", hidden.id)).totals, { ...NOTHING, requests: 2 });
  // Also by its handle.
  assert.deepEqual((await stats(ada, "", ada.login)).totals, numbers);
  await app.ok("POST", `/pages/${hidden.id}/requests/accept`, { token: ada.token, body: { user_ids: [bob.id] } });
  await app.ok("POST", `/pages/${hidden.id}/requests/reject`, { token: ada.token, body: { all: true } });
  assert.deepEqual((await stats(ada, "", hidden.id)).totals, { ...NOTHING, followers: 1 });
  await app.ok("DELETE", `/posts/${reply.id}`, { token: bob.token });
  await app.ok("DELETE", `/posts/${second.id}`, { token: ada.token });
  await app.ok("DELETE", `/posts/${first.id}/like`, { token: eve.token });
  await app.ok("DELETE", `/pages/${ada.page_id}/follow`, { token: eve.token });
  const left = await stats(ada);
  assert.deepEqual(left.totals, { posts: 1, followers: 1, requests: 0, likes: 2, replies: 0 });
  assert.deepEqual(left.growth, left.totals);
  // A deleted person's likes and follows are deleted, too.
  await app.ok("DELETE", `/users/${bob.id}`, { token: (await app.admin()).token });
  assert.deepEqual((await stats(ada)).totals, { ...NOTHING, posts: 1, likes: 1 });
  assert.deepEqual((await stats(ada, "", hidden.id)).totals, NOTHING);
  assert.deepEqual((await stats(ada)).totals, (await countedPages(app.ctx.sql)).get(ada.page_id));
});

Deno.test("A day ends at midnight UTC; growth is within the period, a total is the current count", async () => {
  const [ada, bob, eve] = await app.people(3) as [Person, Person, Person];
  await app.follow(bob, ada.page_id);
  await moveEvents(ada.page_id, "follow.changed", "2026-02-28T23:59:59.999Z");
  await app.post(ada);
  await moveEvents(ada.page_id, "post.created", "2026-03-01T00:00:00Z");
  await app.follow(eve, ada.page_id);
  const march = await stats(ada, "?from=2026-02-27&to=2026-03-02");
  const day = (date: string, posts: number, followers: number) => ({ date, ...NOTHING, posts, followers });
  assert.deepEqual(march, {
    from: "2026-02-27",
    to: "2026-03-02",
    totals: { ...NOTHING, posts: 1, followers: 2 },
    growth: { ...NOTHING, posts: 1, followers: 1 },
    daily: [
      day("2026-02-27", 0, 0),
      day("2026-02-28", 0, 1),
      day("2026-03-01", 1, 1),
      day("2026-03-02", 1, 1),
    ],
  });
  const after = await stats(ada, "?from=2026-03-01&to=2026-03-01");
  assert.deepEqual([after.growth, after.daily], [{ ...NOTHING, posts: 1 }, [day("2026-03-01", 1, 1)]]);
  const usual = await stats(ada);
  assert.deepEqual([usual.from, usual.to, usual.daily.length], [today(-29), today(), 30]);
  assert.deepEqual(usual.daily.at(-1), { date: today(), ...usual.totals });
  const [from, to] = [await stats(ada, `?from=${today(-3)}`), await stats(ada, "?to=2026-03-02")];
  assert.deepEqual([from.from, from.to, from.daily.length], [today(-3), today(), 4]);
  assert.deepEqual([to.from, to.to, to.growth], ["2026-02-01", "2026-03-02", { ...NOTHING, posts: 1, followers: 1 }]);
});

Deno.test("An invalid period is rejected, naming the field", async () => {
  const ada = await app.person();
  for (
    const [query, field] of [
      ["from=yesterday", "from"],
      ["from=2026-02-30", "from"],
      ["to=1969-12-31", "to"],
      ["from=2026-03-02&to=2026-03-01", "to"],
      ["from=2025-01-01&to=2026-01-02", "from"],
      ["from=0000-01-01", "from"],
      ["form=2026-01-01", "form"],
    ] as const
  ) {
    const { errors } = await app.refused("validation", "GET", `/pages/${ada.page_id}/stats?${query}`, {
      token: ada.token,
    });
    assert.deepEqual(errors.map(({ path }: Json) => path), [field], query);
  }
  assert.equal((await stats(ada, "?from=2024-01-01&to=2024-12-31")).daily.length, 366);
});

Deno.test("Statistics are for the owner only: not for staff, and not for missing or blocked pages", async () => {
  const [ada, bob] = await app.people(2) as [Person, Person];
  const admin = await app.admin();
  const path = `/pages/${ada.page_id}/stats`;
  await app.refused("forbidden", "GET", path, { token: bob.token });
  await app.refused("forbidden", "GET", path, { token: admin.token });
  await app.refused("token-missing", "GET", path);
  await app.refused("not-found", "GET", "/pages/nobody-has-this/stats", { token: ada.token });
  const gone = await app.page(ada);
  assert.deepEqual((await stats(ada, "", gone.id)).totals, NOTHING, "a page without events has zeros");
  await app.ok("DELETE", `/pages/${gone.id}`, { token: ada.token });
  await app.refused("not-found", "GET", `/pages/${gone.id}/stats`, { token: ada.token });
  const block = { reason: "spam", until: new Date(Date.now() + DAY_MS).toISOString() };
  await app.ok("POST", `/pages/${ada.page_id}/block`, { token: admin.token, body: block });
  for (const { token } of [ada, bob]) await app.refused("page-blocked", "GET", path, { token });
  await app.refused("forbidden", "GET", path, { token: admin.token });
});

Deno.test("The statistics service checks tokens and ownership itself, without secrets", async () => {
  const [ada, bob] = await app.people(2) as [Person, Person];
  const environ = await Deno.readTextFile(`/proc/${(await service()).pid}/environ`);
  for (const secret of ["a secret for tests", "SECRET_KEY", "ADMIN_PASSWORD"]) {
    assert.ok(!environ.includes(secret), secret);
  }
  const ask = async (token: string | undefined, page = ada.page_id) => {
    const response = await fetch(`http://127.0.0.1:${PORT}/pages/${page}/stats`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    const { type } = await response.json() as { type?: string };
    return [response.status, type?.split("/").at(-1)];
  };
  const forged = ada.token.slice(0, -4) + (ada.token.endsWith("AAAA") ? "BBBB" : "AAAA");
  const [, payload] = ada.token.split(".") as [string, string];
  const unsigned = `${btoa('{"alg":"none","typ":"at+jwt"}').replaceAll("=", "")}.${payload}.`;
  const unknown = `${btoa('{"alg":"EdDSA","typ":"at+jwt","kid":"nobody"}').replaceAll("=", "")}.${payload}.AAAA`;
  assert.deepEqual(await ask(ada.token), [200, undefined]);
  assert.deepEqual(await ask(undefined), [401, "token-missing"]);
  for (const wrong of [forged, unsigned, unknown, ada.refresh_token, "x", "x".repeat(5_000)]) {
    assert.deepEqual(await ask(wrong), [401, "token-invalid"], wrong.slice(0, 40));
  }
  assert.deepEqual(await ask(bob.token), [403, "forbidden"]);
  assert.deepEqual(await ask((await app.admin()).token), [403, "forbidden"]);
  assert.deepEqual(await ask(ada.token, "nowhere"), [404, "not-found"]);
  assert.deepEqual(await ask(ada.token, bob.id), [404, "not-found"]);
});

Deno.test("While the statistics service is down its calls are 503; it returns with all events counted", async () => {
  const [ada, bob] = await app.people(2) as [Person, Person];
  assert.deepEqual((await stats(ada)).totals, NOTHING);
  const { pid } = await service();
  Deno.kill(pid, "SIGSTOP");
  const start = performance.now();
  const late = await app.call("GET", `/pages/${ada.page_id}/stats`, { token: ada.token });
  assert.deepEqual([late.status, late.slug, late.headers.has("retry-after")], [503, "stats-unavailable", true]);
  assert.ok(performance.now() - start < 8_000);
  await app.follow(bob, ada.page_id);
  assert.equal((await app.post(ada)).state, "ready");
  Deno.kill(pid, "SIGKILL");
  await until("it is back", async () => {
    const { status } = await app.call("GET", `/pages/${ada.page_id}/stats`, { token: ada.token });
    assert.ok(status === 200 || status === 503);
    return status === 200;
  });
  assert.deepEqual((await stats(ada)).totals, { ...NOTHING, posts: 1, followers: 1 });
});

async function service(): Promise<{ pid: number }> {
  return await until("the service runs", async () => {
    return (await childrenOf(Deno.pid)).find(({ command }) => command.includes("workers/children/stats.ts"));
  });
}
