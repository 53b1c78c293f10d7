import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { ALL_ROLES, freshServices, startApp } from "../support/app.ts";
import { ADMIN, newLogin, PASSWORD, registration } from "../support/person.ts";
import { until } from "../support/wait.ts";

Deno.test("An account not verified in time is deleted with all it owns; a verified one never is", async () => {
  await using app = await startApp({ ...ALL_ROLES, UNVERIFIED_TTL: "6s" });
  const { token } = await app.admin();
  const fields = registration();
  const lapsing = await app.ok("POST", "/users", { body: fields });
  const tokens = await app.signIn(fields.login!);
  await app.code(fields.email!);
  const kept = await app.register();
  // Verified once, with a second address pending: never deleted.
  await app.ok("PATCH", `/users/${kept.id}`, {
    token: kept.token,
    body: { email: `${newLogin()}@rookery.test`, current: PASSWORD },
  });
  await using socket = await app.listen(tokens.token);
  await socket.next("hello");

  await app.ok("GET", `/users/${lapsing.id}`, { token });
  await until("the deletion", async () => {
    const { status } = await app.call("GET", `/users/${lapsing.id}`, { token });
    return status === 404 ? true : undefined;
  });
  assert.equal((await socket.ended()).code, 4401);
  await app.refused("token-invalid", "GET", "/users/me", { token: tokens.token });
  await app.refused("token-invalid", "POST", "/security/refresh", { body: { refresh_token: tokens.refresh_token } });
  await app.refused("not-found", "GET", `/pages/${lapsing.page_id}`, { token });
  const letters = "select 1 from letters where recipient = lower($1)";
  assert.deepEqual(await app.ctx.sql.query(letters, [fields.email!]), []);
  const again = await app.ok("POST", "/users", { body: fields });
  assert.notEqual(again.id, lapsing.id);

  const { created_at } = await app.ok("GET", "/users/me", { token: kept.token });
  await sleep(Math.max(0, Date.parse(created_at) + 7_500 - Date.now()));
  await app.ok("GET", "/users/me", { token: kept.token });
  await app.ok("GET", "/users/me", { token });
});

Deno.test("With REQUIRE_VERIFIED_EMAIL=false no account is deleted, and everyone may write", async () => {
  await using app = await startApp({ UNVERIFIED_TTL: "500ms", REQUIRE_VERIFIED_EMAIL: "false" });
  const person = await app.person({ verified: false });
  await app.post(person);
  await until("the end of the expiry job", async () => {
    const due = "select 1 from jobs where kind = 'user.expire'";
    return (await app.ctx.sql.query(due)).length === 0 ? true : undefined;
  });
  assert.equal((await app.ok("GET", "/users/me", { token: person.token })).email_verified, false);
});

Deno.test("With REGISTRATION=admin only administrators create accounts, and these count as verified", async () => {
  await using app = await startApp({ REGISTRATION: "admin" });
  const user = await app.person();
  await app.refused("registration-closed", "POST", "/users", { body: registration() });
  await app.refused("registration-closed", "POST", "/users", { token: user.token, body: registration() });
  const { token } = await app.admin();
  const fields = registration();
  const made = await app.ok("POST", "/users", { token, body: fields });
  assert.equal(made.email_verified, true);
  const signedIn = await app.signIn(fields.login!);
  await app.ok("POST", "/pages", { token: signedIn.token, body: { name: "At once" } });
});

Deno.test("The first start creates one verified administrator; a second start changes nothing", async () => {
  await using stack = new AsyncDisposableStack();
  const services = await freshServices(stack);
  {
    await using app = await startApp(services);
    const admin = await app.admin();
    const me = await app.ok("GET", "/users/me", { token: admin.token });
    assert.deepEqual([me.login, me.email, me.role, me.email_verified], [ADMIN.login, ADMIN.email, "admin", true]);
    await app.ok("POST", "/security/password", {
      token: admin.token,
      body: { current: ADMIN.password, new: "Changed-Horse2" },
    });
  }
  await using app = await startApp({ ...services, ADMIN_LOGIN: "other", ADMIN_EMAIL: "other@rookery.test" });
  await app.refused("credentials-invalid", "POST", "/security/login", {
    body: { login: ADMIN.login, password: ADMIN.password },
  });
  await app.refused("credentials-invalid", "POST", "/security/login", {
    body: { login: "other", password: ADMIN.password },
  });
  const { token } = await app.signIn(ADMIN.login, "Changed-Horse2");
  const { items } = await app.ok("GET", "/users?role=admin", { token });
  assert.deepEqual(items.map(({ login }: { login: string }) => login), [ADMIN.login]);
});

Deno.test("The last administrator can be neither demoted, blocked nor deleted", async () => {
  await using app = await startApp();
  const admin = await app.admin();
  const { token, id } = admin;
  const attempts: [string, string, unknown?][] = [
    ["PUT", `/users/${id}/role`, { role: "user" }],
    ["POST", `/users/${id}/block`, { reason: "myself" }],
    ["DELETE", `/users/${id}`],
  ];
  for (const [method, path, body] of attempts) await app.refused("last-admin", method, path, { token, body });
  assert.equal((await app.ok("GET", "/users/me", { token })).role, "admin");
  await app.person({ role: "admin" });
  await app.ok("DELETE", `/users/${id}`, { token });
});
