import assert from "node:assert/strict";
import { codesIn, sharedApp } from "../support/app.ts";
import { newLogin, PASSWORD, registration } from "../support/person.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();

/** Each breaks one rule of one field. */
const WRONG: Record<string, unknown[]> = {
  login: ["a", "a".repeat(65), "with space", "dots.dots", "логин", "under_score", "", 7, null],
  password: ["Aa1!aaa", `Aa1!${"a".repeat(61)}`, "aa1!aaaa", "AA1!AAAA", "Aaa!aaaa", "Aa1aaaaa", "Aa1 aaaa", 12345678],
  first_name: ["A", "A".repeat(33), "Ada1", "---", "Ада", "Ada Maria", ""],
  last_name: ["L", "L".repeat(33), "O'Neil", "--", null],
  email: ["ada", "ada@", "@rookery.test", "a b@rookery.test", `${"a".repeat(250)}@rookery.test`, 1],
};

for (const [field, values] of Object.entries(WRONG)) {
  Deno.test(`Registration rejects a wrong ${field} and names it`, async () => {
    for (const value of values) {
      const { errors } = await app.refused("validation", "POST", "/users", {
        body: { ...registration(), [field]: value },
      });
      assert.ok(errors.length > 0);
      for (const error of errors) {
        assert.equal(error.path, field, `${JSON.stringify(value)}: ${JSON.stringify(errors)}`);
      }
    }
  });
}

Deno.test("Registration accepts every field at both of its limits", async () => {
  for (
    const fields of [
      { login: newLogin("").slice(-2), password: "Aa1!aaaa", first_name: "Al", last_name: "-L" },
      {
        login: newLogin().padEnd(64, "0"),
        password: `Aa1!${"a".repeat(60)}`,
        first_name: "A".repeat(32),
        last_name: "Anna-Maria",
      },
    ]
  ) {
    const account = await app.ok("POST", "/users", { body: { ...registration(), ...fields } });
    assert.equal(account.login, fields.login);
    assert.equal(account.email_verified, false);
    assert.equal(account.role, "user");
  }
});

Deno.test("A validation problem lists every offending field with its rule", async () => {
  const body = { login: "a", password: "short", first_name: "1", last_name: "--", email: "x", nickname: "y" };
  const { errors } = await app.refused("validation", "POST", "/users", { body });
  assert.deepEqual(new Set(errors.map(({ path }: { path: string }) => path)), new Set(Object.keys(body)));
  for (const { rule, message } of errors) assert.ok(rule.length > 0 && message.length > 0);
  const none = await app.refused("validation", "POST", "/users", { body: {} });
  assert.deepEqual(none.errors.map(({ path }: { path: string }) => path).sort(), Object.keys(registration()).sort());
});

Deno.test("Input is validated before it is compared with existing accounts", async () => {
  const { login, email } = await app.person();
  const body = { ...registration(login), email, password: "weak" };
  const { errors } = await app.refused("validation", "POST", "/users", { body });
  assert.ok(errors.every(({ path }: { path: string }) => path === "password"));
});

Deno.test("Logins and emails are unique regardless of case", async () => {
  const { login, email } = await app.person();
  await app.refused("login-taken", "POST", "/users", {
    body: { ...registration(login.toUpperCase()), email: `${newLogin()}@rookery.test` },
  });
  await app.refused("email-taken", "POST", "/users", { body: { ...registration(), email: email.toUpperCase() } });
});

Deno.test("Of many concurrent registrations of one login, one succeeds", async () => {
  const login = newLogin();
  const answers = await Promise.all(Array.from({ length: 8 }, (_, i) =>
    app.call("POST", "/users", {
      body: { ...registration(i % 2 ? login : login.toUpperCase()), email: `${newLogin()}@rookery.test` },
    })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409, 409, 409, 409]);
});

Deno.test("A password is stored only as argon2id with its own salt", async () => {
  const [one, other] = [await app.register(), await app.register()];
  const rows = await app.ctx.sql.query<{ password_hash: string }>(
    "select password_hash from users where id = any($1::uuid[])",
    [[one.id, other.id]],
  );
  assert.equal(new Set(rows.map(({ password_hash }) => password_hash)).size, 2);
  for (const { password_hash } of rows) assert.match(password_hash, /^\$argon2id\$/);
});

Deno.test("The code is the only word of eight characters A–Z0–9 in its email, and verifies", async () => {
  const fields = registration("ABCDEFG8");
  const account = await app.ok("POST", "/users", { body: fields });
  const { token } = await app.signIn("ABCDEFG8");
  await app.code(fields.email!);
  const [letter] = await app.letters(fields.email!);
  assert.equal(letter.to, fields.email!.toLowerCase());
  assert.equal(codesIn(`${letter.subject} ${letter.text}`).length, 1);
  assert.deepEqual(codesIn(letter.html.replaceAll(/<[^>]*>/g, " ")), codesIn(letter.text));
  await app.ok("POST", "/security/verify", { token, body: { code: codesIn(letter.text)[0] } });
  const me = await app.ok("GET", "/users/me", { token });
  assert.equal(me.email_verified, true);
  assert.equal(me.page_id, account.page_id);
  await app.refused("already-verified", "POST", "/security/code", { token });
});

Deno.test("An unverified account can read and verify, and write only after that", async () => {
  const [newcomer, author] = await Promise.all([app.person({ verified: false }), app.person()]);
  const { token } = newcomer;
  const post = await app.post(author);
  const writes: [string, string, unknown?][] = [
    ["POST", "/pages", { name: "Mine" }],
    ["POST", `/pages/${newcomer.page_id}/posts`, { text: "Hello" }],
    ["PUT", `/pages/${author.page_id}/follow`],
    ["PUT", `/posts/${post.id}/like`],
  ];
  for (const [method, path, body] of writes) await app.refused("email-not-verified", method, path, { token, body });
  await app.ok("GET", `/posts/${post.id}`, { token });
  await app.ok("GET", "/feed", { token });
  await app.ok("POST", "/security/verify", { token, body: { code: await app.code(newcomer.email) } });
  for (const [method, path, body] of writes) await app.ok(method, path, { token, body });
});

Deno.test("A new code invalidates the older one", async () => {
  const { token, email } = await app.person({ verified: false });
  const old = await app.code(email);
  await app.ok("POST", "/security/code", { token });
  const fresh = await app.code(email, { letters: 2 });
  assert.notEqual(old, fresh);
  await app.refused("code-invalid", "POST", "/security/verify", { token, body: { code: old } });
  await app.ok("POST", "/security/verify", { token, body: { code: fresh } });
});

Deno.test("Guesses at a code are limited, and over the limit the right one fails, too", async () => {
  const { token, email } = await app.person({ verified: false });
  const right = await app.code(email);
  for (let i = 0; i < 5; i++) {
    await app.refused("code-invalid", "POST", "/security/verify", { token, body: { code: `WRONG00${i}` } });
  }
  await app.refused("code-exhausted", "POST", "/security/verify", { token, body: { code: right } });
  await app.ok("POST", "/security/code", { token });
  const code = await app.code(email, { letters: 2 });
  await app.ok("POST", "/security/verify", { token, body: { code } });
});

Deno.test("Codes of one account are invalid for another", async () => {
  const [one, other] = await Promise.all([app.person({ verified: false }), app.person({ verified: false })]);
  await app.refused("code-invalid", "POST", "/security/verify", {
    token: other.token,
    body: { code: await app.code(one.email) },
  });
});

Deno.test("A changed email stays pending and the old one valid until its own code is given", async () => {
  const person = await app.person();
  const { token } = person;
  const email = `${newLogin()}@rookery.test`;
  const changed = await app.ok("PATCH", `/users/${person.id}`, { token, body: { email, current: PASSWORD } });
  assert.equal(changed.email, person.email);
  assert.equal(changed.pending_email, email);
  assert.equal(changed.email_verified, true);
  await app.signIn(person.email).then((pair) => person.token = pair.token);
  await app.refused("credentials-invalid", "POST", "/security/login", { body: { login: email, password: PASSWORD } });
  await app.ok("POST", "/security/verify", { token: person.token, body: { code: await app.code(email) } });
  const me = await app.ok("GET", "/users/me", { token: person.token });
  assert.deepEqual([me.email, me.pending_email, me.email_verified], [email, null, true]);
  await app.signIn(email);
  await app.refused("credentials-invalid", "POST", "/security/login", {
    body: { login: person.email, password: PASSWORD },
  });
});

Deno.test("A taken email cannot become another account's, and only the reader of its inbox learns that", async () => {
  const [one, other] = await app.people(2);
  const path = `/users/${one!.id}`;
  const body = { email: other!.email.toUpperCase(), current: PASSWORD };
  // The answer is that for any other address.
  const { pending_email } = await app.ok("PATCH", path, { token: one!.token, body });
  assert.equal(pending_email.toLowerCase(), other!.email);
  const code = await until("the code", async () => {
    const sent = "select text from letters where user_id = $1 and recipient = $2";
    const [letter] = await app.ctx.sql.query<{ text: string }>(sent, [one!.id, other!.email]);
    return letter && codesIn(letter.text)[0];
  });
  await app.refused("email-taken", "POST", "/security/verify", { token: one!.token, body: { code } });
  assert.equal((await app.ok("GET", "/users/me", { token: one!.token })).email, one!.email);
  const email = `${newLogin()}@rookery.test`;
  await app.ok("PATCH", path, { token: one!.token, body: { email, current: PASSWORD } });
  const sent = await app.code(email);
  await app.ok("POST", "/users", { body: { ...registration(), email } });
  await app.refused("email-taken", "POST", "/security/verify", { token: one!.token, body: { code: sent } });
  assert.equal((await app.ok("GET", "/users/me", { token: one!.token })).email, one!.email);
});

Deno.test("Other people see only the public profile", async () => {
  const [person, other] = await app.people(2);
  const card = await app.ok("GET", `/people/${person!.login.toUpperCase()}`, { token: other!.token });
  assert.deepEqual(Object.keys(card).sort(), ["avatar_url", "first_name", "id", "last_name", "login", "page_id"]);
  assert.equal(card.page_id, person!.page_id);
  await app.refused("not-found", "GET", `/people/${newLogin()}`, { token: other!.token });
});

Deno.test("An administrator lists accounts by role and by words, in pages", async () => {
  const { token } = await app.admin();
  const word = newLogin("zz");
  const people = [];
  for (let i = 0; i < 5; i++) people.push(await app.person({ login: `${word}n${i}` }));
  const seen: string[] = [];
  const query = `/users?q=${word.toUpperCase()}&limit=2`;
  let path: string | null = query;
  while (path) {
    const { items, next_cursor } = await app.ok("GET", path, { token });
    seen.push(...items.map(({ id }: { id: string }) => id));
    path = next_cursor && `${query}&cursor=${next_cursor}`;
  }
  assert.deepEqual(seen, people.map(({ id }) => id).reverse());
  const admins = await app.ok("GET", "/users?role=admin", { token });
  assert.ok(admins.items.length > 0 && admins.items.every(({ role }: { role: string }) => role === "admin"));
});

Deno.test("A mailbox opens with the account's password only", async () => {
  const [one, other] = await app.people(2);
  for (const email of [one!.email, `${newLogin()}@rookery.test`]) {
    await app.refused("credentials-invalid", "POST", "/mail/inbox", { body: { email, password: "Wrong-Horse1" } });
  }
  assert.deepEqual(await app.letters(other!.email), []);
});

Deno.test("Two emails to one address both arrive, newest first", async () => {
  const { token, email } = await app.person({ verified: false });
  const first = await app.code(email);
  await app.ok("POST", "/security/code", { token });
  const second = await app.code(email, { letters: 2 });
  const letters = await app.letters(email);
  assert.deepEqual(letters.map(({ text }) => codesIn(text)[0]), [second, first]);
  assert.ok(letters[0].at >= letters[1].at);
});

Deno.test("A forgotten password is reset with a code, which ends the session and works once", async () => {
  const person = await app.person();
  await app.ok("POST", "/security/recover", { body: { email: person.email.toUpperCase() } });
  const code = await app.code(person.email);
  const body = { email: person.email, code, new: "Other-Horse2" };
  await app.refused("validation", "POST", "/security/reset", { body: { ...body, new: "weak" } });
  await app.refused("code-invalid", "POST", "/security/reset", { body: { ...body, code: "WRONG000" } });
  await app.ok("POST", "/security/reset", { body });
  await app.refused("session-ended", "GET", "/users/me", { token: person.token });
  await app.signIn(person.login, "Other-Horse2");
  await app.refused("credentials-invalid", "POST", "/security/login", {
    body: { login: person.login, password: PASSWORD },
  });
  await app.refused("code-invalid", "POST", "/security/reset", { body: { ...body, new: "Third-Horse3" } });
});

Deno.test("Recovery answers for an unknown address as for a known one", async () => {
  const { email } = await app.person();
  const known = await app.call("POST", "/security/recover", { body: { email } });
  const unknown = await app.call("POST", "/security/recover", { body: { email: `${newLogin()}@rookery.test` } });
  assert.deepEqual([unknown.status, unknown.body], [known.status, known.body]);
  const guess = (address: string) => ({ body: { email: address, code: "WRONG000", new: PASSWORD } });
  const wrong = await app.refused("code-invalid", "POST", "/security/reset", guess(email));
  const nobody = await app.refused("code-invalid", "POST", "/security/reset", guess(`${newLogin()}@rookery.test`));
  assert.deepEqual({ ...nobody, request_id: "" }, { ...wrong, request_id: "" });
});

Deno.test("A wrong login and a wrong password get one answer in about the same time", async () => {
  const { login } = await app.person();
  const attempt = async (body: { login: string; password: string }) => {
    const start = performance.now();
    const problem = await app.refused("credentials-invalid", "POST", "/security/login", { body });
    return { ms: performance.now() - start, problem: { ...problem, request_id: "" } };
  };
  const times = { known: [] as number[], unknown: [] as number[] };
  for (let i = 0; i < 7; i++) {
    const known = await attempt({ login, password: "Wrong-Horse1" });
    const unknown = await attempt({ login: newLogin(), password: PASSWORD });
    assert.deepEqual(unknown.problem, known.problem);
    times.known.push(known.ms);
    times.unknown.push(unknown.ms);
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[3]!;
  // Without a hash to compare, an unknown login would be answered many times faster.
  assert.ok(median(times.unknown) > median(times.known) / 3, JSON.stringify(times));
});

Deno.test("An account is deleted with all it owned, and its login and email are free again", async () => {
  const [person, reader] = await app.people(2);
  const { token } = await app.admin();
  const page = await app.page(person!, { uuid: newLogin("h") });
  const post = await app.post(person!, {}, page.id);
  const liked = await app.post(reader!);
  await app.ok("PUT", `/posts/${liked.id}/like`, { token: person!.token });
  await app.follow(person!, reader!.page_id);
  await app.ok("DELETE", `/users/${person!.id}`, { token });
  await app.refused("token-invalid", "GET", "/users/me", { token: person!.token });
  for (const path of [`/posts/${post.id}`, `/pages/${page.id}`, `/pages/${page.uuid}`, `/people/${person!.login}`]) {
    await app.refused("not-found", "GET", path, { token: reader!.token });
  }
  assert.equal((await app.ok("GET", `/posts/${liked.id}`, { token: reader!.token })).like_count, 0);
  assert.equal((await app.ok("GET", `/pages/${reader!.page_id}`, { token: reader!.token })).follower_count, 0);
  await app.refused("not-found", "DELETE", `/users/${person!.id}`, { token });
  await app.ok("POST", "/users", { body: registration(person!.login) });
  await until("the new email", async () => (await app.letters(person!.email)).length === 1);
});
