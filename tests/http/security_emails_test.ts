import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import { PASSWORD, type Person } from "../support/person.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();
const NEW_PASSWORD = "Other-Horse2";

/** Subjects of emails other than codes, oldest first; waits for this many. */
async function notices(email: string, password: string, least: number): Promise<string[]> {
  return await until(`${least} notices to ${email}`, async () => {
    const letters = await app.letters(email, password);
    const subjects = letters.map(({ subject }: Json) => subject).filter((subject: string) =>
      !/^(Confirm|Set)/.test(subject)
    );
    return subjects.length >= least ? subjects.reverse() : undefined;
  });
}

async function signInFrom({ login }: Person, device: string, password = PASSWORD): Promise<string> {
  const body = { login, password };
  return (await app.ok("POST", "/security/login", { body, headers: { "user-agent": device } })).access_token;
}

Deno.test("A sign-in from a new device is reported by email, from a known device or version it is not", async () => {
  const person = await app.register();
  await signInFrom(person, "Deno/2.9.6");
  await signInFrom(person, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
  const [subject] = await notices(person.email, PASSWORD, 1);
  assert.match(subject!, /new device/);
  await signInFrom(person, "Mozilla/5.0 (X11; Linux x86_64) Firefox/141.0");
  await signInFrom(person, "Deno/3.0.0");
  await signInFrom(person, "curl/8");
  assert.equal((await notices(person.email, PASSWORD, 2)).length, 2);
  const [{ text }] = await app.letters(person.email);
  assert.match(text, /curl\/8/);
});

Deno.test("A new account's first sign-in is not reported, and unproven addresses get nothing", async () => {
  const person = await app.person({ verified: false });
  await signInFrom(person, "Firefox");
  await signInFrom(person, "Chromium");
  const known = await app.register();
  assert.deepEqual(await notices(known.email, PASSWORD, 0), []);
  assert.deepEqual(await notices(person.email, PASSWORD, 0), []);
});

Deno.test("A changed password is reported, also when it was reset", async () => {
  const person = await app.register();
  const body = { current: PASSWORD, new: NEW_PASSWORD };
  await app.ok("POST", "/security/password", { token: person.token, body });
  assert.match((await notices(person.email, NEW_PASSWORD, 1))[0]!, /password was changed/);
  await app.ok("POST", "/security/recover", { body: { email: person.email } });
  const code = await until("the recovery code", async () => {
    const letter = (await app.letters(person.email, NEW_PASSWORD)).find(({ subject }: Json) => /^Set/.test(subject));
    return letter && /\b[A-Z0-9]{8}\b/.exec(letter.text)?.[0];
  });
  await app.ok("POST", "/security/reset", { body: { email: person.email, code, new: PASSWORD } });
  assert.equal((await notices(person.email, PASSWORD, 2)).length, 2);
});

Deno.test("The proven address gets a notice when a change is requested, and when it is completed", async () => {
  const person = await app.register();
  const fresh = `new-${person.email}`;
  await app.ok("PATCH", `/users/${person.id}`, { token: person.token, body: { email: fresh, current: PASSWORD } });
  const [asked] = await notices(person.email, PASSWORD, 1);
  assert.match(asked!, /Email change requested/);
  await app.ok("POST", "/security/verify", { token: person.token, body: { code: await app.code(fresh) } });
  const sent = () =>
    app.ctx.sql.query<{ subject: string }>(
      "select subject from letters where recipient = lower($1) and subject not like 'Confirm%' order by at",
      [person.email],
    );
  const [, changed] = await until("the notice", async () => {
    const letters = await sent();
    return letters.length > 1 ? letters : undefined;
  });
  assert.match(changed!.subject, /email .* was changed/);
});
