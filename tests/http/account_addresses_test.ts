import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import { newLogin, PASSWORD, type Person, registration } from "../support/person.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();
const NEW_PASSWORD = "Other-Horse2";
const newAddress = () => `${newLogin()}@rookery.test`;

/** Requests another email as the owner of the account. */
function ask({ id, token }: Person, email: string, current = PASSWORD): Promise<Json> {
  return app.ok("PATCH", `/users/${id}`, { token, body: { email, current } });
}

async function move(person: Person, email: string): Promise<void> {
  await ask(person, email);
  await app.ok("POST", "/security/verify", { token: person.token, body: { code: await app.code(email) } });
}

async function recoveryCode(email: string): Promise<string> {
  await app.ok("POST", "/security/recover", { body: { email } });
  return await until("the recovery code", async () => {
    const letter = (await app.letters(email)).find(({ subject }) => subject.startsWith("Set"));
    return letter && /\b[A-Z0-9]{8}\b/.exec(letter.text)?.[0];
  });
}

Deno.test("A recovery code becomes invalid with the address it was sent to", async () => {
  const person = await app.person();
  const [old, fresh] = [person.email, newAddress()];
  const code = await recoveryCode(old);
  await move(person, fresh);
  for (const email of [fresh, old]) {
    await app.refused("code-invalid", "POST", "/security/reset", { body: { email, code, new: NEW_PASSWORD } });
  }
  await app.signIn(person.login);
});

Deno.test("A recovery code is valid for the address it was sent to, and for no other account", async () => {
  const [one, other] = await app.people(2);
  const code = await recoveryCode(one!.email);
  const body = { code, new: NEW_PASSWORD };
  await app.refused("code-invalid", "POST", "/security/reset", { body: { ...body, email: other!.email } });
  await app.ok("POST", "/security/reset", { body: { ...body, email: one!.email.toUpperCase() } });
});

Deno.test("A new change of the address or its withdrawal invalidates the code for a pending address", async () => {
  const person = await app.person();
  const [first, second] = [newAddress(), newAddress()];
  await ask(person, first);
  const code = await app.code(first);
  const verify = (given: string) => ({ token: person.token, body: { code: given } });
  await ask(person, second);
  await app.refused("code-invalid", "POST", "/security/verify", verify(code));
  const later = await app.code(second);
  await ask(person, person.email);
  await app.refused("already-verified", "POST", "/security/verify", verify(later));
  await ask(person, second);
  await app.refused("code-invalid", "POST", "/security/verify", verify(later));
  assert.equal((await app.ok("GET", "/users/me", { token: person.token })).email, person.email);
});

Deno.test("A changed password invalidates every code, and a new code confirms a pending address", async () => {
  const person = await app.person();
  const fresh = newAddress();
  await ask(person, fresh);
  const [verify, recover] = [await app.code(fresh), await recoveryCode(person.email)];
  const change = { current: PASSWORD, new: NEW_PASSWORD };
  await app.ok("POST", "/security/password", { token: person.token, body: change });
  const { token } = await app.signIn(person.login, NEW_PASSWORD);
  await app.refused("code-invalid", "POST", "/security/verify", { token, body: { code: verify } });
  await app.refused("code-invalid", "POST", "/security/reset", {
    body: { email: person.email, code: recover, new: PASSWORD },
  });
  await app.ok("POST", "/security/code", { token });
  const code = await app.code(fresh, { letters: 2, password: NEW_PASSWORD });
  await app.ok("POST", "/security/verify", { token, body: { code } });
  assert.equal((await app.ok("GET", "/users/me", { token })).email, fresh);
});

Deno.test("A new owner of an address reads nothing that was sent to the previous one", async () => {
  const person = await app.register();
  const old = person.email;
  await recoveryCode(old);
  await move(person, newAddress());
  const stranger = registration();
  await app.ok("POST", "/users", { body: { ...stranger, email: old, password: NEW_PASSWORD } });
  const code = await app.code(old, { password: NEW_PASSWORD });
  assert.equal((await app.letters(old, NEW_PASSWORD)).length, 1, "only the new owner's code");
  const { token } = await app.signIn(stranger.login!, NEW_PASSWORD);
  await app.ok("POST", "/security/verify", { token, body: { code } });
  const letters = await app.letters(old, NEW_PASSWORD);
  assert.deepEqual(letters.map(({ subject }) => subject), ["Confirm your email for Rookery"]);
  await app.refused("credentials-invalid", "POST", "/mail/inbox", { body: { email: old, password: PASSWORD } });
});

Deno.test("An address pending for several accounts has a mailbox for each, with its own emails", async () => {
  const email = newAddress();
  const people = await app.people(6);
  for (const [i, person] of people.entries()) {
    const password = `Correct-Horse-${i}x`;
    await app.ok("POST", "/security/password", { token: person.token, body: { current: PASSWORD, new: password } });
    person.password = password;
    person.token = (await app.signIn(person.login, password)).token;
    await ask(person, email, password);
  }
  const codes = [];
  for (const { password } of people) codes.push(await app.code(email, { password }));
  assert.equal(new Set(codes).size, people.length);
  await app.refused("credentials-invalid", "POST", "/mail/inbox", { body: { email, password: PASSWORD } });
  // Also under a new password.
  const [first] = people as [Person];
  const body = { current: first.password, new: NEW_PASSWORD };
  await app.ok("POST", "/security/password", { token: first.token, body });
  await app.refused("credentials-invalid", "POST", "/mail/inbox", { body: { email, password: first.password } });
  assert.equal((await app.letters(email, NEW_PASSWORD)).length, 1);
  // Also for the account that has the address.
  const owner = { ...registration(), email, password: "Rightful-Horse3" };
  await app.ok("POST", "/users", { body: owner });
  await app.code(email, { password: owner.password });
  for (const { password } of people.slice(1)) await app.letters(email, password);
});

Deno.test("A mailbox opens for the account to which an administrator gave the address", async () => {
  const person = await app.person();
  const email = newAddress();
  const { token } = await app.admin();
  await app.ok("PATCH", `/users/${person.id}`, { token, body: { email } });
  await app.ok("POST", "/security/verify", { token: person.token, body: { code: await app.code(email) } });
});

Deno.test("An owner changes the email only with the current password, and names without it", async () => {
  const person = await app.person();
  const path = `/users/${person.id}`;
  const { token } = person;
  const email = newAddress();
  const paths = ({ errors }: Json) => errors.map(({ path }: Json) => path);
  assert.deepEqual(paths(await app.refused("validation", "PATCH", path, { token, body: { email } })), ["current"]);
  const wrong = { email, current: "Wrong-Horse1" };
  assert.deepEqual(paths(await app.refused("validation", "PATCH", path, { token, body: wrong })), ["current"]);
  assert.deepEqual(paths(await app.refused("validation", "PATCH", path, { token, body: { email, current: "" } })), [
    "current",
  ]);
  await app.ok("PATCH", path, { token, body: { first_name: "Grace" } });
  assert.equal((await app.ok("GET", "/users/me", { token })).pending_email, null);
  await ask(person, email);
  const admin = await app.admin();
  await app.refused("validation", "PATCH", `/users/${admin.id}`, { token: admin.token, body: { email } });
});

Deno.test("A wrong current password is a problem of its field, and the session continues", async () => {
  const { token } = await app.person();
  const answer = await app.call("POST", "/security/password", {
    token,
    body: { current: "Wrong-Horse1", new: NEW_PASSWORD },
  });
  assert.deepEqual([answer.status, answer.slug, answer.headers.get("www-authenticate")], [422, "validation", null]);
  assert.deepEqual(answer.body.errors.map(({ path, rule }: Json) => [path, rule]), [["current", "wrong"]]);
  await app.ok("GET", "/users/me", { token });
});
