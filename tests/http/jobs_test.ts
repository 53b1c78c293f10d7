import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import { ALL_ROLES, startApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { smtpSettings, SmtpTrap } from "../support/smtp_trap.ts";
import { until } from "../support/wait.ts";

Deno.test("A rejected email is parked, listed for administrators without secrets, and sent on a retry", async () => {
  let refuses = true;
  await using trap = await SmtpTrap.open(({ step }) => step === "END" && refuses ? "554 5.6.0 not that" : undefined);
  await using app = await startApp(await smtpSettings(trap.url));
  const { token } = await app.admin();
  const [ann, bob] = await app.people(2) as [Person, Person];
  await app.follow(bob, ann.page_id);
  const post = await app.post(ann);
  const dead = await until("the dead job", async () => {
    const { items } = await app.ok("GET", "/jobs?state=dead", { token });
    return items.length > 0 ? items as Json[] : undefined;
  });
  assert.equal(dead.length, 1);
  const [{ id, kind, attempts, last_error, user_id, post_id }] = dead as [Json];
  assert.deepEqual([kind, attempts, user_id, post_id], ["post.letter", 1, bob.id, post.id]);
  assert.match(last_error, /554 5\.6\.0 not that/);
  assert.ok(!JSON.stringify(dead).includes("payload"));
  assert.deepEqual((await app.ok("GET", "/jobs?state=dead&kind=other", { token })).items, []);

  refuses = false;
  const again = await app.ok("POST", `/jobs/${id}/retry`, { token });
  assert.deepEqual([again.state, again.attempts], ["waiting", 0]);
  await until("the email", async () => trap.taken.length === 1);
  await until("the job is deleted", async () => {
    const answer = await app.call("POST", `/jobs/${id}/retry`, { token });
    return answer.slug === "not-found" ? true : undefined;
  });
});

Deno.test("An unclear delivery is left unknown: it cannot be retried, and can be deleted", async () => {
  await using trap = await SmtpTrap.open(({ step }) => step === "END" ? null : undefined);
  await using app = await startApp(await smtpSettings(trap.url));
  const { token } = await app.admin();
  const [ann, bob] = await app.people(2) as [Person, Person];
  await app.follow(bob, ann.page_id);
  await app.post(ann);
  const { id } = await until("the job", async () => (await app.ok("GET", "/jobs?state=unknown", { token })).items[0]);
  await app.refused("nothing-to-retry", "POST", `/jobs/${id}/retry`, { token });
  assert.equal((await app.call("DELETE", `/jobs/${id}`, { token })).status, 204);
  await app.refused("not-found", "DELETE", `/jobs/${id}`, { token });
  assert.equal(trap.taken.length, 1);
});

Deno.test("Jobs are listed in pages, each once", async () => {
  await using app = await startApp(ALL_ROLES);
  const { token } = await app.admin();
  await app.ctx.sql.execute(
    `insert into jobs (id, kind, payload, state, run_at)
    select gen_random_uuid(), 'test', '{}', 'dead', now() from generate_series(1, 25) i`,
  );
  const seen: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page: Json = await app.ok("GET", `/jobs?state=dead&limit=4${cursor && `&cursor=${cursor}`}`, { token });
    seen.push(...page.items.map(({ id }: Json) => id));
    cursor = page.next_cursor;
  }
  assert.deepEqual([seen.length, new Set(seen).size], [25, 25]);
  for (const query of ["state=asleep", "kind=", "limit=0", "cursor=nonsense"]) {
    const { status } = await app.call("GET", `/jobs?${query}`, { token });
    assert.ok(status === 422 || status === 400, query);
  }
});
