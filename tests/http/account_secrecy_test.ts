import assert from "node:assert/strict";
import { loadUserActor } from "../../db/users.ts";
import { hashes } from "../../security/passwords.ts";
import type { Answer, CallOptions, Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import { newLogin, PASSWORD, registration } from "../support/person.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();
const newAddress = () => `${newLogin()}@rookery.test`;

/** What distinguishes two answers for a caller, apart from time. */
function comparable({ status, headers, body }: Answer): unknown {
  const shown = [...headers].filter(([name]) => !["x-request-id", "date"].includes(name)).map(([name, value]) => [
    name,
    name === "retry-after" ? "…" : value,
  ]);
  return { status, shown, body: body && { ...body, request_id: "" } };
}

/** The same calls about each address must get the same answers, in the same order. */
async function alike(
  addresses: Record<string, string>,
  calls: (email: string) => [method: string, path: string, options: CallOptions][],
): Promise<unknown[]> {
  const answers: Record<string, unknown[]> = {};
  for (const [name, email] of Object.entries(addresses)) {
    answers[name] = [];
    for (const [method, path, options] of calls(email)) {
      answers[name].push(comparable(await app.call(method, path, options)));
    }
  }
  const [first, ...others] = Object.values(answers) as [unknown[], ...unknown[][]];
  for (const other of others) assert.deepEqual(other, first);
  return first;
}

async function known(): Promise<Record<string, string>> {
  const [one, other] = await app.people(2);
  const pending = newAddress();
  await app.ok("PATCH", `/users/${other!.id}`, { token: other!.token, body: { email: pending, current: PASSWORD } });
  return { known: one!.email, unknown: newAddress(), pending };
}

Deno.test("Wrong recovery codes get the same answers for used, unused and pending addresses", async () => {
  const addresses = await known();
  const reset = (email: string) => ["POST", "/security/reset", { body: { email, code: "WRONG000", new: PASSWORD } }];
  const first = await alike(addresses, (email) =>
    [
      ["POST", "/security/recover", { body: { email } }],
      ...Array.from({ length: 3 }, () => reset(email)),
    ] as [string, string, CallOptions][]) as Answer[];
  assert.deepEqual(first.map(({ status }) => status), [204, 422, 422, 422]);
});

Deno.test("Wrong passwords at sign-in and at the mailbox get the same answers for every address", async () => {
  const addresses = await known();
  const [first] = await alike(addresses, (email) => [
    ["POST", "/security/login", { body: { login: email, password: "Wrong-Horse1" } }],
    ["POST", "/mail/inbox", { body: { email, password: "Wrong-Horse1" } }],
  ]) as Answer[];
  assert.equal(first!.status, 401);
});

Deno.test("Guesses at a recovery code do not block the right one from another address", async () => {
  const { email, id } = await app.person();
  await app.ok("POST", "/security/recover", { body: { email } });
  const code = await app.code(email);
  const body = { email, code, new: "Other-Horse2" };
  for (let i = 0; i < 6; i++) await app.call("POST", "/security/reset", { body: { ...body, code: `WRONG00${i}` } });
  // The address of the guesses is rejected even with the right code.
  const { headers } = await app.call("POST", "/security/reset", { body });
  assert.ok(Number(headers.get("retry-after")) > 60);
  await app.ctx.actors.ask("user", id, "check_recovery", { email, code });
});

Deno.test("A refusal computes as many hashes for an account as for an unknown login", async () => {
  const { pending, ...addresses } = await known();
  const wrong = "Wrong-Horse1";
  const costs = async (email: string) => {
    const calls: [string, unknown][] = [
      ["/security/login", { login: email, password: wrong }],
      ["/mail/inbox", { email, password: wrong }],
      ["/security/reset", { email, code: "WRONG000", new: PASSWORD }],
    ];
    const made = [];
    for (const [path, body] of calls) {
      const before = hashes();
      assert.ok((await app.call("POST", path, { body })).status >= 400);
      made.push(hashes() - before);
    }
    return made;
  };
  const first = await costs(pending!);
  assert.ok(first[0]! > 0 && first[1]! > 0);
  for (const email of Object.values(addresses)) assert.deepEqual(await costs(email), first);
});

Deno.test("A person gets at most one recovery code a minute, and it stays valid", async () => {
  const { email, id } = await app.person();
  for (let i = 0; i < 3; i++) await app.ok("POST", "/security/recover", { body: { email } });
  const code = await app.code(email);
  // An actor that is loaded again has the same limit.
  assert.equal((await loadUserActor(app.ctx.sql, id))!.recover_asked_at.length, 1);
  await app.ok("POST", "/security/recover", { body: { email } });
  const sent = "select id from letters where recipient = $1";
  await until("no email jobs are left", async () => {
    const jobs = await app.ctx.sql.query("select 1 from jobs where payload->>'to' = $1", [email]);
    return jobs.length === 0 ? true : undefined;
  });
  assert.equal((await app.ctx.sql.query(sent, [email])).length, 1);
  await app.ok("POST", "/security/reset", { body: { email, code, new: "Other-Horse2" } });
});

Deno.test("A second code within a minute is refused with the time to wait", async () => {
  const { token } = await app.person({ verified: false });
  await app.ok("POST", "/security/code", { token });
  const answer = await app.call("POST", "/security/code", { token });
  assert.deepEqual([answer.status, answer.slug], [429, "rate-limited"]);
  const wait = Number(answer.headers.get("retry-after"));
  assert.ok(wait > 50 && wait <= 60, String(wait));
});

Deno.test("A login in look-alike characters is rejected as wrong credentials everywhere", async () => {
  const word = newLogin("minni");
  const { login, token } = await app.person({ login: word });
  for (const given of [login.replace("i", "İ"), login.replace("i", "ı"), login.replace("m", "ｍ")]) {
    await app.refused("credentials-invalid", "POST", "/security/login", { body: { login: given, password: PASSWORD } });
    await app.refused("not-found", "GET", `/people/${encodeURIComponent(given)}`, { token });
    await app.refused("not-found", "GET", `/pages/${encodeURIComponent(given)}`, { token });
    const { errors } = await app.refused("validation", "POST", `/users`, { body: { ...registration(), login: given } });
    assert.deepEqual(errors.map(({ path }: Json) => path), ["login"]);
  }
  await app.signIn(login.toUpperCase());
});
