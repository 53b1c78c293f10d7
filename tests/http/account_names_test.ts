import assert from "node:assert/strict";
import { hash } from "@node-rs/argon2";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import { ADMIN, newLogin, PASSWORD, registration } from "../support/person.ts";

const app = sharedApp();
const register = (email: string) => app.call("POST", "/users", { body: { ...registration(), email } });

Deno.test("An international domain is accepted in both forms and is one address", async () => {
  const name = newLogin();
  const unicode = `${name}@Пример.рф`;
  const ascii = `${name}@xn--e1afmkfd.xn--p1ai`;
  const fields = { ...registration(), email: unicode };
  const account = await app.ok("POST", "/users", { body: fields });
  assert.equal(account.email, ascii);
  for (const email of [ascii, unicode, unicode.toUpperCase()]) {
    await app.refused("email-taken", "POST", "/users", { body: { ...registration(), email } });
    await app.signIn(email);
    await app.ok("POST", "/security/recover", { body: { email } });
  }
  const { token } = await app.signIn(unicode);
  const code = await app.code(unicode);
  const [letter] = await app.letters(ascii);
  assert.equal(letter.to, ascii, "sent in the form that every mail server accepts");
  assert.match(code, /^[A-Z0-9]{8}$/);
  await app.ok("GET", "/users/me", { token });
});

const LABEL = "d".repeat(61);
const FORMS: [what: string, email: string, status: number][] = [
  ["with a local part of 64 bytes", `${newLogin().padEnd(64, "a")}@rookery.test`, 201],
  ["with a local part of 65 bytes", `${newLogin().padEnd(65, "a")}@rookery.test`, 422],
  ["of 254 bytes", `${newLogin().padEnd(64, "a")}@${LABEL}.${LABEL}.${LABEL}.org`, 201],
  ["of 255 bytes", `${newLogin().padEnd(64, "a")}@${LABEL}.${LABEL}.${LABEL}.info`, 422],
  ["with a label of 64 bytes", `${newLogin()}@${"d".repeat(64)}.org`, 422],
  ["with a label that is too long in ASCII", `${newLogin()}@${"пример".repeat(10)}.рф`, 422],
  ["of a single label", `${newLogin()}@localhost`, 422],
  ["of a machine", `${newLogin()}@127.0.0.1`, 422],
  ["of a machine in brackets", `${newLogin()}@[127.0.0.1]`, 422],
  ["with two dots", `${newLogin()}..a@rookery.test`, 422],
  ["with a local part that is not ASCII", `${newLogin()}ä@rookery.test`, 422],
  ["with another SMTP command", `${newLogin()}@rookery.test\r\nRCPT TO:<x@rookery.test>`, 422],
  ["with a plus sign", `${newLogin()}+tag@rookery.test`, 201],
];

for (const [what, email, status] of FORMS) {
  Deno.test(`Registration with an email ${what} is ${status}`, async () => {
    const answer = await register(email);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    if (status === 422) assert.deepEqual(answer.body.errors.map(({ path }: Json) => path), ["email"]);
  });
}

Deno.test("A person with an address that an older rule accepted can still sign in with it", async () => {
  const { id } = await app.person();
  const email = `${newLogin().padEnd(70, "a")}@Rookery.test`;
  await app.ctx.sql.execute("update users set email = $2 where id = $1", [id, email]);
  await app.signIn(email.toUpperCase());
});

for (const word of ["me", "ME", "support", "root", "Moderator", "security", "help"]) {
  Deno.test(`"${word}" cannot be a login or a handle`, async () => {
    const body = { ...registration(), login: word };
    const owner = await app.person();
    const page = { name: "A page", uuid: word };
    const { errors } = await app.refused("validation", "POST", "/users", { body });
    assert.deepEqual(errors.map(({ path, rule }: Json) => [path, rule]), [["login", "reserved"]]);
    const made = await app.refused("validation", "POST", "/pages", { token: owner.token, body: page });
    assert.deepEqual(made.errors.map(({ path, rule }: Json) => [path, rule]), [["uuid", "reserved"]]);
    const { id } = await app.page(owner);
    await app.refused("validation", "PATCH", `/pages/${id}`, { token: owner.token, body: { uuid: `${word}_` } });
  });
}

Deno.test("The configured administrator keeps a reserved login", async () => {
  const { token } = await app.signIn(ADMIN.login, ADMIN.password);
  assert.equal((await app.ok("GET", `/people/${ADMIN.login}`, { token })).login, ADMIN.login);
});

Deno.test("A password matches in any Unicode composition, also a hash from before normalisation", async () => {
  const composed = "Pässwörd-1";
  const decomposed = composed.normalize("NFD");
  const fields: Record<string, string> = { ...registration(), password: decomposed };
  const { id } = await app.ok("POST", "/users", { body: fields });
  let { token } = await app.signIn(fields.login!, composed);
  await app.ok("POST", "/security/password", { token, body: { current: decomposed, new: "Nëw-Passw0rd" } });
  ({ token } = await app.signIn(fields.login!, "Nëw-Passw0rd".normalize("NFD")));
  await app.ctx.sql.execute("update users set password_hash = $2 where id = $1", [id, await hash(decomposed)]);
  ({ token } = await app.signIn(fields.login!, decomposed));
  await app.refused("credentials-invalid", "POST", "/security/login", {
    body: { login: fields.login!, password: composed },
  });
  await app.ok("POST", "/security/password", { token, body: { current: decomposed, new: PASSWORD } });
});
