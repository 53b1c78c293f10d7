import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import { ALL_ROLES, ownApp, startApp, type TestApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { smtpSettings, SmtpTrap } from "../support/smtp_trap.ts";
import { until } from "../support/wait.ts";

const app = ownApp(ALL_ROLES);

async function inbox(person: Person, from: TestApp = app): Promise<Json[]> {
  return (await from.letters(person.email)).filter(({ subject }) => !subject.startsWith("Confirm"));
}

/** Waits until no job about post emails is left. */
async function settled(from: TestApp = app): Promise<void> {
  await until("no email jobs are left", async () => {
    const left = await from.ctx.sql.query(
      `select 1 from jobs where kind in ('post.letters', 'post.letter') and state in ('waiting', 'running')
      union all select 1 from events
        where kind = 'post.created' and seq > (select seq from consumers where name = 'notifications')`,
    );
    return left.length === 0 ? true : undefined;
  });
}

async function states(post: string): Promise<string[]> {
  const rows = await app.ctx.sql.query<{ state: string }>("select state from deliveries where event_id = $1", [post]);
  return rows.map(({ state }) => state).sort();
}

const settings = (person: Person, body: unknown) =>
  app.ok("PUT", "/notifications/settings", { token: person.token, body });

Deno.test("A new post sends one readable email to each follower", async () => {
  const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
  const page = await app.page(ann, { name: "Birds & <b>bees</b>" });
  for (const follower of [bob, eve]) await app.follow(follower, page.id);
  const post = await app.post(ann, { text: "Look: 1 < 2 & more\nsecond line" }, page.id);
  await settled();
  for (const follower of [bob, eve]) {
    const letters = await inbox(follower);
    assert.equal(letters.length, 1);
    const [{ to, subject, text, html }] = letters;
    assert.deepEqual([to, subject], [follower.email, "Birds & <b>bees</b>: Look: 1 < 2 & more"]);
    assert.ok(text.includes("Look: 1 < 2 & more\nsecond line"), text);
    assert.ok(html.includes("Look: 1 &lt; 2 &amp; more") && !html.includes("<b>bees</b>"), html);
    const other = follower === bob ? eve : bob;
    for (const part of [text, html]) {
      assert.ok(!part.includes(other.login), "the email does not reveal other followers");
    }
  }
  assert.deepEqual(await inbox(ann), [], "the author gets no email");
  assert.deepEqual(await states(post.id), ["sent", "sent"]);
});

Deno.test("Later followers and people with unconfirmed addresses get no email", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  const newcomer = await app.person({ verified: false });
  await app.ctx.sql.execute(
    "insert into follows (page_id, user_id, state, created_at) values ($1, $2, 'following', now())",
    [
      ann.page_id,
      newcomer.id,
    ],
  );
  await app.post(ann);
  await app.follow(bob, ann.page_id);
  await settled();
  assert.deepEqual([await inbox(bob), await inbox(newcomer)], [[], []]);
});

/** Events between a post and its emails. After each, the follower gets none. */
const MEANWHILE: Record<string, (ann: Person, bob: Person, page: string, post: string) => Promise<unknown>> = {
  "left": (_ann, bob, page) => app.ok("DELETE", `/pages/${page}/follow`, { token: bob.token }),
  "was removed": (ann, bob, page) => app.ok("DELETE", `/pages/${page}/followers/${bob.id}`, { token: ann.token }),
  "was blocked": async (_ann, bob) =>
    app.ok("POST", `/users/${bob.id}/block`, { token: (await app.admin()).token, body: { reason: "spam" } }),
  "switched emails off": (_ann, bob) => settings(bob, { letters: "never" }),
  "cannot see the page, which was blocked": async (_ann, _bob, page) =>
    app.ok("POST", `/pages/${page}/block`, { token: (await app.admin()).token, body: { reason: "spam", until: null } }),
  "cannot see the post, which was deleted": (ann, _bob, _page, post) =>
    app.ok("DELETE", `/posts/${post}`, { token: ann.token }),
};
for (const [what, act] of Object.entries(MEANWHILE)) {
  Deno.test(`A follower who ${what} meanwhile gets no email`, async () => {
    const [ann, bob, eve] = await app.people(3) as [Person, Person, Person];
    const page = (await app.page(ann)).id;
    await app.follow(bob, page);
    // The job is held until after the event.
    await app.ctx.sql.script(
      `create or replace function hold() returns trigger language plpgsql as
        $$ begin new.state = 'dead'; return new; end $$;
      create or replace trigger hold before insert on jobs for each row when (new.kind = 'post.letter')
        execute function hold()`,
    );
    const post = (await app.post(ann, { text: "to be missed" }, page)).id;
    await until("the ledger's row", async () => (await states(post)).length === 1);
    await app.ctx.sql.script("drop trigger hold on jobs");
    await app.follow(eve, page);
    await act(ann, bob, page, post);
    await app.ctx.sql.execute("update jobs set state = 'waiting' where kind = 'post.letter' and state = 'dead'");
    await settled();
    const [row] = await app.ctx.sql.query<{ n: number }>(
      "select count(*) as n from letters where recipient = lower($1)",
      [
        bob.email,
      ],
    );
    assert.equal(row!.n, 0);
    assert.deepEqual(await states(post), ["skipped"]);
  });
}

Deno.test("A daily digest has all posts, newest first, and there is none without posts", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  await settings(bob, { letters: "daily" });
  await app.follow(bob, ann.page_id);
  const texts = ["first of the day", "second of the day", "taken back"];
  const posts: Json[] = [];
  for (const text of texts) posts.push(await app.post(ann, { text }));
  await settled();
  assert.deepEqual(await inbox(bob), [], "no email before the digest is due");
  const [job] = await app.ctx.sql.query<{ id: string; run_at: string }>(
    "select id, run_at from jobs where kind = 'post.digest' and user_id = $1",
    [bob.id],
  );
  assert.match(job!.run_at, /T08:00:00/);
  const ahead = Date.parse(job!.run_at) - Date.now();
  assert.ok(ahead > 0 && ahead <= 86_400_000 + 60_000, `${ahead} ms ahead`);
  await app.ok("DELETE", `/posts/${posts[2]!.id}`, { token: ann.token });
  // The digest becomes due.
  const strike = () =>
    app.ctx.sql.execute("update jobs set run_at = now() where kind = 'post.digest' and user_id = $1", [bob.id]);
  await strike();
  const [letter] = await until("the digest", async () => {
    const letters = await inbox(bob);
    return letters.length > 0 ? letters : undefined;
  });
  assert.equal(letter.subject, "2 new posts");
  assert.ok(letter.text.indexOf(texts[1]!) < letter.text.indexOf(texts[0]!) && letter.text.indexOf(texts[1]!) > 0);
  assert.ok(!letter.text.includes("taken back"));
  // The delivery is recorded once the mail server has the email.
  for (const post of posts.slice(0, 2)) {
    await until("the ledger's row", async () => (await states(post.id)).join() === "sent");
  }
  await app.post(ann, { text: "of the next day" });
  await settled();
  assert.equal((await inbox(bob)).length, 1);
  await settings(bob, { letters: "never" });
  await strike();
  await until("the end of the digest job", async () => {
    const left = await app.ctx.sql.query("select 1 from jobs where kind = 'post.digest' and user_id = $1", [bob.id]);
    return left.length === 0 ? true : undefined;
  });
  assert.equal((await inbox(bob)).length, 1, "a person who switched emails off gets none");
});

Deno.test("Emails have the headers for one-click unsubscribe, which needs no sign-in", async () => {
  await using trap = await SmtpTrap.open();
  await using other = await startApp(await smtpSettings(trap.url));
  const [ann, bob] = await other.people(2) as [Person, Person];
  await other.follow(bob, ann.page_id);
  await other.post(ann, { text: "a first" });
  const { content } = await until("the email", async () => trap.taken[0]);
  const headers = content.split("\r\n\r\n", 1)[0]!.replaceAll(/\r\n\s+/g, " ");
  assert.match(headers, /^List-Unsubscribe-Post: List-Unsubscribe=One-Click$/m);
  const url = /^List-Unsubscribe: <(\S+)>$/m.exec(headers)?.[1] ?? "";
  assert.ok(url.startsWith(`${other.url}/api/v1/`), headers);
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "List-Unsubscribe=One-Click",
  });
  assert.deepEqual([response.status, await response.json()], [200, { letters: "never" }]);
  await other.post(ann, { text: "a second" });
  await settled(other);
  assert.equal(trap.taken.length, 1);
  const forged = url.slice(`${other.url}/api/v1`.length).replace(bob.id, ann.id);
  assert.equal((await other.call("POST", forged)).slug, "validation");
});

Deno.test("An address that bounces gets no further emails about posts", async () => {
  await using trap = await SmtpTrap.open(({ step }) => step === "RCPT" ? "550 5.1.1 nobody here" : undefined);
  await using other = await startApp(await smtpSettings(trap.url));
  const [ann, bob] = await other.people(2) as [Person, Person];
  await other.follow(bob, ann.page_id);
  for (let i = 0; i < 2; i++) {
    await other.post(ann, { text: `post ${i}` });
    await settled(other);
  }
  assert.equal(trap.lines.filter((line) => line.startsWith("RCPT")).length, 1);
  const [{ n }] = await other.ctx.sql.query<{ n: number }>("select count(*) as n from jobs where state = 'dead'") as [
    { n: number },
  ];
  assert.equal(n, 0, "no job is parked for it");
});
