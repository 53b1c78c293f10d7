/** Rejections of a mail server: the person, the administrator and later emails. */
import assert from "node:assert/strict";
import { verifyChain } from "../../db/moderation_log.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { HeldStatement } from "../support/held_statement.ts";
import type { Person } from "../support/person.ts";
import { smtpSettings, SmtpTrap } from "../support/smtp_trap.ts";
import { until } from "../support/wait.ts";

const NOBODY = "550 5.1.1 nobody here";

interface World extends AsyncDisposable {
  app: TestApp;
  trap: SmtpTrap;
  admin: Person;
  author: Person;
  /** Posts, and waits until every email about the post was sent, rejected or parked. */
  post(text: string): Promise<string>;
  /** The number of attempts to send to this person. */
  tries(person: Person): number;
}

async function world(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const trap = stack.use(await SmtpTrap.open());
  const app = stack.use(await startApp(await smtpSettings(trap.url)));
  const admin = await app.admin();
  const author = await app.person();
  const running = stack.move();
  return {
    app,
    trap,
    admin,
    author,
    post: async (text) => {
      const { id } = await app.post(author, { text });
      await until("no email jobs are left", async () => {
        const left = await app.ctx.sql.query(
          `select 1 from jobs
      where kind in ('post.letters', 'post.letter', 'letter') and state in ('waiting', 'running')
          union all select 1 from events
        where kind = 'post.created' and seq > (select seq from consumers where name = 'notifications')`,
        );
        return left.length === 0 ? true : undefined;
      });
      return id;
    },
    tries: ({ email }) => trap.lines.filter((line) => line === `RCPT TO:<${email}>`).length,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function bounceOf(app: TestApp, person: Person) {
  return (await app.ok("GET", "/users/me", { token: person.token })).email_bounce;
}

async function metric(app: TestApp, name: string): Promise<number> {
  const { body } = await app.call("GET", "/metrics");
  return Number(new RegExp(`^rookery_${name} (\\d+)$`, "m").exec(body)![1]);
}

Deno.test("A bounce is shown to its person and staff, and ends by time, request or an accepted email", async () => {
  await using it = await world();
  const { app, trap, admin, author } = it;
  const [bob, eve] = await app.people(2) as [Person, Person];
  await app.follow(bob, author.page_id);
  assert.equal(await bounceOf(app, bob), null);
  const bounces = await metric(app, "email_bounces_total");
  trap.trick = ({ step }) => step === "RCPT" ? NOBODY : undefined;
  await it.post("first");
  const bounce = await bounceOf(app, bob);
  assert.deepEqual([bounce.address, bounce.code], [bob.email, "5.1.1"]);
  const days = (Date.parse(bounce.until) - Date.parse(bounce.at)) / 86_400_000;
  assert.ok(days > 6.9 && days < 7.1, `${days} days`);
  const seen = await app.ok("GET", `/users/${bob.id}`, { token: admin.token });
  assert.deepEqual(seen.email_bounce, bounce);
  await it.post("second");
  assert.equal(it.tries(bob), 1, "no attempt while the bounce is in force");

  // After its expiry a new attempt is made, and the next bounce lasts longer.
  await app.ctx.sql.execute("update bounces set until = now()");
  assert.equal(await bounceOf(app, bob), null);
  await it.post("third");
  assert.equal(it.tries(bob), 2);
  const longer = await bounceOf(app, bob);
  assert.ok(Date.parse(longer.until) - Date.parse(longer.at) > 13.9 * 86_400_000);

  assert.equal(await metric(app, "email_bounces_total") - bounces, 2);
  assert.equal(await metric(app, "email_bounced_addresses"), 1);
  await app.refused("forbidden", "DELETE", `/users/${bob.id}/bounce`, { token: eve.token });
  await app.ok("DELETE", `/users/${bob.id}/bounce`, { token: bob.token });
  assert.equal(await bounceOf(app, bob), null);
  await it.post("fourth");
  assert.equal(it.tries(bob), 3);
  const again = await bounceOf(app, bob);
  const acts = async () => (await app.ok("GET", `/moderation/log?target=${bob.id}`, { token: admin.token })).items;
  assert.deepEqual(await acts(), [], "clearing an own bounce is not recorded");
  for (let i = 0; i < 2; i++) {
    await app.ok("DELETE", `/users/${bob.id.toUpperCase()}/bounce`, { token: admin.token });
  }
  const [act, ...others] = await acts();
  assert.deepEqual([act.act, act.actor.id, act.target.id, act.target.name], [
    "account.profile",
    admin.id,
    bob.id,
    bob.login,
  ]);
  assert.deepEqual([act.before, act.after, others], [
    { email_bounce: { code: "5.1.1", until: act.before.email_bounce.until } },
    { email_bounce: null },
    [],
  ]);
  assert.equal(Date.parse(act.before.email_bounce.until), Date.parse(again.until));
  assert.equal((await verifyChain(app.ctx.sql)).sound, true);
  trap.trick = () => undefined;
  await it.post("fifth");
  assert.equal(trap.taken.length, 1);
  // After an accepted email the next rejection counts as the first.
  assert.deepEqual(await app.ctx.sql.query("select 1 from bounces"), []);
});

Deno.test("A person who only requested an address as a new email neither sees nor clears its bounce", async () => {
  await using it = await world();
  const { app, trap, author } = it;
  const [bob, eve] = await app.people(2) as [Person, Person];
  await app.follow(bob, author.page_id);
  // Eve's own address gets a notice of the change.
  trap.trick = ({ step, to }) => step === "RCPT" && to === bob.email ? NOBODY : undefined;
  await it.post("refused");
  const bounce = await bounceOf(app, bob);
  assert.equal(bounce.address, bob.email);
  await app.ok("PATCH", `/users/${eve.id}`, { token: eve.token, body: { email: bob.email, current: eve.password } });
  assert.equal(await bounceOf(app, eve), null);
  await app.ok("DELETE", `/users/${eve.id}/bounce`, { token: eve.token });
  assert.equal((await bounceOf(app, bob))?.address, bob.email, "still in force for the address");
});

Deno.test("A rejection that does not concern the address is parked and is no bounce", async () => {
  await using it = await world();
  const { app, trap, admin, author } = it;
  for (
    const answer of ["550 relay not permitted", "550 5.7.1 not permitted", "553 5.1.8 bad sender", "554 5.4.4 no route"]
  ) {
    const bob = await app.person();
    await app.follow(bob, author.page_id);
    trap.trick = ({ step }) => step === "RCPT" ? answer : undefined;
    await it.post("first");
    assert.equal(await bounceOf(app, bob), null, answer);
    const { items } = await app.ok("GET", "/jobs?state=dead", { token: admin.token });
    assert.deepEqual(items.map(({ user_id }: { user_id: string }) => user_id), [bob.id], answer);
    trap.trick = () => undefined;
    await app.ok("POST", `/jobs/${items[0].id}/retry`, { token: admin.token });
    await it.post("second");
    assert.equal(trap.taken.filter(({ to }) => to === bob.email).length, 2, answer);
    await app.ok("DELETE", `/pages/${author.page_id}/follow`, { token: bob.token });
  }
});

Deno.test("If a relay rejects many people at once, their bounces are removed and no email is lost", async () => {
  await using it = await world();
  const { app, trap, admin, author } = it;
  const followers = await app.people(14);
  for (const follower of followers) await app.follow(follower, author.page_id);
  trap.trick = ({ step }) => step === "RCPT" ? NOBODY : undefined;
  const post = await it.post("to everybody");
  assert.deepEqual(await app.ctx.sql.query("select email from bounces"), []);
  const { items } = await app.ok("GET", "/jobs?state=dead&limit=100", { token: admin.token });
  assert.deepEqual(
    items.map(({ user_id }: { user_id: string }) => user_id).sort(),
    followers.map(({ id }) => id).sort(),
  );
  trap.trick = () => undefined;
  for (const { id } of items) await app.ok("POST", `/jobs/${id}/retry`, { token: admin.token });
  await until("the emails to arrive", async () => trap.taken.length >= followers.length);
  assert.deepEqual(trap.taken.map(({ to }) => to).sort(), followers.map(({ email }) => email).sort());
  assert.ok(trap.taken.every(({ content }) => content.includes(post)));
});

Deno.test("A digest that bounced before the relay was found at fault is parked, and sent on a retry", async () => {
  await using it = await world();
  const { app, trap, admin, author } = it;
  const [reader, ...followers] = await app.people(14) as [Person, ...Person[]];
  await app.follow(reader, author.page_id);
  await app.ok("PUT", "/notifications/settings", { token: reader.token, body: { letters: "daily" } });
  trap.trick = ({ step }) => step === "RCPT" ? NOBODY : undefined;
  const post = await it.post("for the digest");
  const digests = async () =>
    await app.ctx.sql.query<{ id: string; state: string }>("select id, state from jobs where kind = 'post.digest'");
  const due = async () => {
    await app.ctx.sql.execute("update jobs set run_at = now() where kind = 'post.digest' and state = 'waiting'");
    return (await digests()).length === 0;
  };
  await until("the digest has bounced", due);
  assert.equal((await bounceOf(app, reader)).address, reader.email);
  for (const follower of followers) await app.follow(follower, author.page_id);
  await it.post("refused");
  const [digest, ...others] = await digests();
  assert.deepEqual([digest!.state, others], ["dead", []]);
  trap.trick = () => undefined;
  await app.ok("POST", `/jobs/${digest!.id}/retry`, { token: admin.token });
  await until("the digest", () => trap.taken.some(({ to, content }) => to === reader.email && content.includes(post)));
});

Deno.test("An email refused while others find the relay at fault leaves no bounce and is not lost", async () => {
  await using it = await world();
  const { app, trap, admin, author } = it;
  const followers = await app.people(12);
  for (const follower of followers) await app.follow(follower, author.page_id);
  trap.trick = ({ step }) => step === "RCPT" ? NOBODY : undefined;
  const held = new HeldStatement(app.ctx.sql, "bounce.relay_refuses", 1);
  const posted = it.post("to everybody");
  const dead = async () => (await app.ok("GET", "/jobs?state=dead&limit=100", { token: admin.token })).items.length;
  await until("the other emails", async () => await dead() >= followers.length - 1);
  held.letGo();
  await posted;
  assert.deepEqual([await dead(), await app.ctx.sql.query("select email from bounces")], [followers.length, []]);
});

Deno.test("An email has its sender, is marked as automatic, and links to the post", async () => {
  await using it = await world();
  const { app, trap, author } = it;
  const bob = await app.person();
  await app.follow(bob, author.page_id);
  const post = await it.post("look here");
  const [{ content, messageId }] = trap.taken as [typeof trap.taken[number]];
  assert.equal(messageId, `<${post}.${bob.id}@rookery.test>`);
  assert.match(content, /^Auto-Submitted: auto-generated\r?$/m);
  assert.match(content, /^List-Id: <posts\.rookery\.test>\r?$/im);
  assert.match(content, /^List-Unsubscribe-Post: List-Unsubscribe=One-Click\r?$/m);
  assert.match(content, /^Date: /m);
  assert.ok(trap.lines.includes("EHLO rookery.test"), trap.lines.join("\n"));
  const text = content.replaceAll("=\r\n", "").replaceAll("=3D", "=");
  assert.ok(text.includes(`${app.url}/#post=${post}`), text);
  // A code is for one person, so it has no list headers.
  await app.ok("POST", "/security/recover", { body: { email: bob.email } });
  await until("the code", async () => trap.taken.length === 2);
  const code = trap.taken[1]!.content;
  assert.match(code, /^Auto-Submitted: auto-generated\r?$/m);
  assert.doesNotMatch(code, /^List-/m);
});
