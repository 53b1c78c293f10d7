import assert from "node:assert/strict";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import { sleep } from "../../lib/sleep.ts";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import { PASSWORD, type Person } from "../support/person.ts";
import { lasting } from "../support/session_tokens.ts";

const app = sharedApp();
const refresh = (refresh_token: string) => app.call("POST", "/security/refresh", { body: { refresh_token } });
const me = (token: string) => app.call("GET", "/users/me", { token });

/** Every kind of request with a token, refresh included. */
async function reasons({ token, refresh_token, page_id }: Person): Promise<Set<string | undefined>> {
  const answers = await Promise.all([
    me(token),
    app.call("GET", "/feed", { token }),
    app.call("POST", "/feed/ticket", { token }),
    app.call("GET", "/feed/live", { token, undeclared: true }),
    app.call("POST", `/pages/${page_id}/posts`, { token, body: { text: "Hello" } }),
    app.call("PUT", `/pages/${page_id}/follow`, { token }),
    app.call("POST", "/security/logout", { token }),
    app.call("POST", "/security/password", { token, body: { current: PASSWORD, new: PASSWORD } }),
    refresh(refresh_token),
  ]);
  return new Set(answers.map(({ slug }) => slug));
}

Deno.test("Sign-in by login or email, in any case, gives a pair of tokens valid for 30 minutes", async () => {
  const { login, email } = await app.person();
  for (const name of [login, login.toUpperCase(), email, email.toUpperCase()]) {
    const pair = await app.ok("POST", "/security/login", { body: { login: name, password: PASSWORD } });
    assert.equal(pair.expires_in, 1_800);
    assert.equal((await me(pair.access_token)).body.login, login);
  }
});

Deno.test("Each kind of token is rejected in place of the other", async () => {
  const { token, refresh_token } = await app.person();
  assert.equal((await me(refresh_token)).slug, "token-invalid");
  assert.equal((await refresh(token)).slug, "token-invalid");
  assert.equal((await me(token)).status, 200);
});

Deno.test("Refresh gives a new pair, and the old access token is token-refreshed from then on", async () => {
  const { token, refresh_token } = await app.person();
  const { body: pair } = await refresh(refresh_token);
  assert.notEqual(pair.access_token, token);
  assert.notEqual(pair.refresh_token, refresh_token);
  assert.equal((await me(token)).slug, "token-refreshed");
  assert.equal((await me(pair.access_token)).status, 200);
});

Deno.test("The same refresh token within 10 seconds gets the same pair", async () => {
  const { refresh_token } = await app.person();
  const first = await refresh(refresh_token);
  assert.deepEqual((await refresh(refresh_token)).body, first.body);
  assert.equal((await me(first.body.access_token)).status, 200);
});

Deno.test("A reused refresh token ends the session after its successor was used", async () => {
  const { refresh_token } = await app.person();
  const second = await refresh(refresh_token);
  const third = await refresh(second.body.refresh_token);
  assert.equal((await refresh(refresh_token)).slug, "token-reused");
  assert.equal((await me(third.body.access_token)).slug, "token-reused");
  assert.equal((await refresh(third.body.refresh_token)).slug, "token-reused");
});

Deno.test("Concurrent refreshes give one pair", async () => {
  const { refresh_token } = await app.person();
  const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(refresh_token)));
  for (const { status, body } of answers) {
    assert.equal(status, 200);
    assert.deepEqual(body, answers[0]!.body);
  }
  assert.equal((await me(answers[0]!.body.access_token)).status, 200);
});

Deno.test("Refreshing keeps sockets open", async () => {
  const person = await app.person();
  await using socket = await app.listen(person.token);
  await socket.next("hello");
  const { body: pair } = await refresh(person.refresh_token);
  await app.post({ ...person, token: pair.access_token });
  await socket.next("post.created");
  assert.ok(socket.isOpen);
});

Deno.test("A sign-in ends the earlier session for every kind of request, and closes its socket with 4401", async () => {
  const person = await app.person();
  await using socket = await app.listen(person.token);
  await socket.next("hello");
  const fresh = await app.signIn(person.login);
  assert.equal((await socket.ended()).code, 4401);
  assert.deepEqual(await reasons(person), new Set(["token-outdated"]));
  const { body } = await me(person.token);
  assert.match(body.title, /outdated because the account signed in elsewhere/);
  assert.equal((await me(fresh.token)).status, 200);
});

Deno.test("Of many concurrent sign-ins, exactly one session remains", async () => {
  const { login } = await app.person();
  const pairs = await Promise.all(Array.from({ length: 6 }, () => app.signIn(login)));
  const answers = await Promise.all(pairs.map(({ token }) => me(token)));
  assert.deepEqual(answers.map(({ slug }) => slug ?? "ok").sort(), ["ok", ...Array(5).fill("token-outdated")]);
});

Deno.test("Sign-out needs a valid token and ends the session", async () => {
  const person = await app.person();
  await using socket = await app.listen(person.token);
  await socket.next("hello");
  assert.equal((await app.call("POST", "/security/logout")).slug, "token-missing");
  await app.ok("POST", "/security/logout", { token: person.token });
  assert.equal((await socket.ended()).code, 4401);
  assert.deepEqual(await reasons(person), new Set(["session-ended"]));
});

Deno.test("A change of the password needs the current one, checks the new one and ends the session", async () => {
  const person = await app.person();
  const change = (current: string, next: string) =>
    app.call("POST", "/security/password", { token: person.token, body: { current, new: next } });
  const { body } = await change("Wrong-Horse1", "Other-Horse2");
  assert.deepEqual(body.errors.map(({ path, rule }: Json) => [path, rule]), [["current", "wrong"]]);
  assert.equal((await change(PASSWORD, "weak")).slug, "validation");
  assert.equal((await me(person.token)).status, 200);
  await using socket = await app.listen(person.token);
  await socket.next("hello");
  assert.equal((await change(PASSWORD, "Other-Horse2")).status, 204);
  assert.equal((await socket.ended()).code, 4401);
  assert.deepEqual(await reasons(person), new Set(["session-ended"]));
  await app.refused("credentials-invalid", "POST", "/security/login", {
    body: { login: person.login, password: PASSWORD },
  });
  await app.signIn(person.login, "Other-Horse2");
});

Deno.test("A blocked account is rejected at its next request, and can sign in after the block", async () => {
  const [person, admin] = await Promise.all([app.person(), app.admin()]);
  await using socket = await app.listen(person.token);
  await socket.next("hello");
  const path = `/users/${person.id}/block`;
  await app.ok("POST", path, { token: admin.token, body: { reason: "spam" } });
  assert.equal((await socket.ended()).code, 4403);
  assert.deepEqual(await reasons(person), new Set(["account-blocked"]));
  await app.refused("account-blocked", "POST", "/security/login", {
    body: { login: person.login, password: PASSWORD },
  });
  await app.refused("credentials-invalid", "POST", "/security/login", {
    body: { login: person.login, password: "Wrong-Horse1" },
  });
  await app.ok("DELETE", path, { token: admin.token });
  assert.deepEqual(await reasons(person), new Set(["session-ended"]));
  assert.equal((await me((await app.signIn(person.login)).token)).status, 200);
});

Deno.test("A block with an end expires", async () => {
  const [person, admin] = await Promise.all([app.person(), app.admin()]);
  const until = new Date(Date.now() + 4_000).toISOString();
  await app.ok("POST", `/users/${person.id}/block`, { token: admin.token, body: { reason: "a pause", until } });
  assert.equal((await me(person.token)).slug, "account-blocked");
  await sleep(Date.parse(until) - Date.now() + 50);
  await app.signIn(person.login);
});

Deno.test("A changed role applies at the next request, both ways", async () => {
  const [person, admin] = await Promise.all([app.person(), app.admin()]);
  const role = (name: string) =>
    app.ok("PUT", `/users/${person.id}/role`, { token: admin.token, body: { role: name } });
  const list = () => app.call("GET", "/users", { token: person.token });
  assert.equal((await list()).status, 403);
  await role("admin");
  assert.equal((await list()).status, 200);
  await using socket = await app.listen(person.token);
  await socket.next("hello");
  await role("user");
  assert.equal((await list()).status, 403);
  assert.equal((await socket.ended()).code, 4401);
});

Deno.test("A deleted account's tokens are invalid and its socket closes", async () => {
  const [person, admin] = await Promise.all([app.person(), app.admin()]);
  await using socket = await app.listen(person.token);
  await socket.next("hello");
  await app.ok("DELETE", `/users/${person.id}`, { token: admin.token });
  assert.equal((await socket.ended()).code, 4401);
  assert.deepEqual(await reasons(person), new Set(["token-invalid"]));
});

Deno.test("A ticket opens one socket, once, and only while its session is valid", async () => {
  const [person, other] = await app.people(2);
  const { ticket } = await app.ok("POST", "/feed/ticket", { token: person!.token });
  await using socket = await app.listen({ ticket });
  await socket.next("hello");
  await assert.rejects(() => app.listen({ ticket }));
  const stale = await app.ok("POST", "/feed/ticket", { token: other!.token });
  await app.signIn(other!.login);
  await assert.rejects(() => app.listen(stale));
  await assert.rejects(() => app.listen({ ticket: "made-up" }));
});

const expired = (person: Person) => lasting(-1_000, app, person);

Deno.test("Of several reasons the first applies: invalid, blocked, ended or refreshed, expired", async () => {
  const [late, outdated, refreshed, blocked] = await app.people(4) as [Person, Person, Person, Person];
  const reason = async (person: Person) => (await me(expired(person).token)).slug;
  const { token } = await app.admin();
  await app.signIn(outdated.login);
  await app.ok("POST", "/security/refresh", { body: { refresh_token: refreshed.refresh_token } });
  await app.signIn(blocked.login);
  await app.ok("POST", `/users/${blocked.id}/block`, { token, body: { reason: "spam" } });
  assert.equal(await reason(late), "token-expired");
  assert.equal(await reason(outdated), "token-outdated");
  assert.equal(await reason(refreshed), "token-refreshed");
  assert.equal(await reason(blocked), "account-blocked");
  const { body } = await refresh(late.refresh_token);
  assert.equal((await me(body.access_token)).slug, undefined);
});

Deno.test("An expired refresh token is distinguished from an ended session", async () => {
  const [late, outdated] = await app.people(2) as [Person, Person];
  await app.signIn(outdated.login);
  assert.equal((await refresh(expired(late).refresh_token)).slug, "token-expired");
  assert.equal((await refresh(expired(outdated).refresh_token)).slug, "token-outdated");
});

Deno.test("A token that was changed in any way is invalid", async () => {
  const [{ token }, admin] = await Promise.all([app.person(), app.admin()]);
  const [header, payload, signature] = token.split(".") as [string, string, string];
  const decode = (part: string) => JSON.parse(atob(part.replaceAll("-", "+").replaceAll("_", "/")));
  const encode = (value: unknown) =>
    btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const head = decode(header);
  const forged = {
    "no algorithm": `${encode({ ...head, alg: "none" })}.${payload}.`,
    "no algorithm, with a signature": `${encode({ ...head, alg: "none" })}.${payload}.${signature}`,
    "another algorithm": `${encode({ ...head, alg: "HS256" })}.${payload}.${signature}`,
    "another type": `${encode({ ...head, typ: "rt+jwt" })}.${payload}.${signature}`,
    "another key": `${encode({ ...head, kid: "nobody" })}.${payload}.${signature}`,
    "another account": `${header}.${encode({ ...decode(payload), sub: admin.id })}.${signature}`,
    "a longer life": `${header}.${encode({ ...decode(payload), exp: 4_102_444_800 })}.${signature}`,
    "another signature": `${header}.${payload}.${admin.token.split(".")[2]}`,
    "no signature": `${header}.${payload}.`,
    "a fourth part": `${token}.x`,
    "text that is no token": "x",
  };
  for (const [what, value] of Object.entries(forged)) {
    assert.equal((await me(value)).slug, "token-invalid", what);
    assert.equal((await refresh(value)).slug, "token-invalid", what);
  }
  assert.equal((await me(token)).status, 200);
});

Deno.test("Only the Bearer scheme is accepted, in any case", async () => {
  const { token } = await app.person();
  const asked = (authorization: string) => app.call("GET", "/users/me", { headers: { authorization } });
  for (const scheme of ["bearer", "BEARER"]) assert.equal((await asked(`${scheme} ${token}`)).status, 200);
  for (const value of [token, `Basic ${token}`, "Bearer", `Bearer ${token} ${token}`]) {
    const { slug, headers } = await asked(value);
    assert.equal(slug, "token-missing", value);
    assert.equal(headers.get("www-authenticate"), `Bearer realm="rookery"`);
  }
});

Deno.test("The published key verifies access tokens with jose", async () => {
  const { token, refresh_token, id } = await app.person();
  const keys = createRemoteJWKSet(new URL(`${app.url}/.well-known/jwks.json`));
  const { payload } = await jwtVerify(token, keys, { issuer: "rookery", typ: "at+jwt" });
  assert.equal(payload.sub, id);
  await assert.rejects(() => jwtVerify(refresh_token, keys, { typ: "at+jwt" }), errors.JWTClaimValidationFailed);
  await assert.rejects(() => jwtVerify(token.slice(0, -4) + "AAAA", keys), errors.JWSSignatureVerificationFailed);
  const { body } = await app.call("GET", "/.well-known/jwks.json");
  for (const key of body.keys) assert.equal(key.d, undefined, "a private key is published");
});
