/** Guesses at one account from many addresses are delayed, and its owner can always sign in. */
import assert from "node:assert/strict";
import { CacheUnavailable } from "../../lib/cache/cache.ts";
import { MemoryCache } from "../../lib/cache/memory.ts";
import { AppError } from "../../lib/errors.ts";
import { unsubscribeToken } from "../../jobs/email/unsubscribe.ts";
import { delayMs, FREE_GUESSES, Guesses, MAX_DELAY_MS, WINDOW_MS } from "../../routes/http/guesses.ts";
import { MAX_RECOVERY_GUESSES, RecoveryGuesses } from "../../security/guesses.ts";
import { Secret } from "../../security/secret.ts";
import { LIMITS, RateLimiter } from "../../routes/http/rate_limit.ts";
import { sleep } from "../../lib/sleep.ts";
import type { Answer, CallOptions } from "../support/api.ts";
import { ALL_ROLES, ownApp } from "../support/app.ts";
import { newLogin, PASSWORD, type Person } from "../support/person.ts";

const app = ownApp({ ...ALL_ROLES, RATE_LIMITS: "on", TRUSTED_PROXIES: "127.0.0.1,::1" });
const OWNER = "198.51.100.1";
const WRONG = "Wrong-Horse1";
const EACH = LIMITS.guesses.limit;
let addresses = 0;

/** No other test of this file has this address. */
function newAddress(): string {
  return `203.0.113.${++addresses}`;
}

function from(address: string, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  return app.call(method, path, { ...options, headers: { "x-forwarded-for": address } });
}

/** Wrong guesses beyond the limit of the account, from many addresses, each up to its own limit. */
async function attack(guess: (address: string) => Promise<Answer>): Promise<string[]> {
  const attackers = [newAddress(), newAddress(), newAddress()];
  await Promise.all(attackers.map(async (address) => {
    for (let i = 0; i < EACH; i++) assert.ok([401, 422].includes((await guess(address)).status));
  }));
  return attackers;
}

Deno.test("Wrong passwords for an account lock out only the address of the guesses", async () => {
  const { login, email } = await app.person();
  const signIn = (address: string, password: string) =>
    from(address, "POST", "/security/login", { body: { login, password } });
  const [attacker] = await attack((address) => signIn(address, WRONG));
  for (const password of [WRONG, PASSWORD]) {
    const { slug, headers } = await signIn(attacker!, password);
    assert.deepEqual([slug, headers.get("ratelimit-policy")], ["rate-limited", `"guesses";q=${EACH};w=60`]);
  }
  const { body, status } = await signIn(OWNER, PASSWORD);
  assert.equal(status, 200);
  const change = { current: PASSWORD, new: "Other-Horse2" };
  assert.equal(
    (await from(OWNER, "POST", "/security/password", { token: body.access_token, body: change })).status,
    204,
  );
  assert.equal((await from(OWNER, "POST", "/mail/inbox", { body: { email, password: change.new } })).status, 200);
});

Deno.test("Wrong passwords at the mailbox do not lock its owner out", async () => {
  const { email } = await app.person();
  const open = (address: string, password: string) =>
    from(address, "POST", "/mail/inbox", { body: { email, password } });
  const [attacker] = await attack((address) => open(address, WRONG));
  assert.equal((await open(attacker!, PASSWORD)).slug, "rate-limited");
  assert.equal((await open(OWNER, PASSWORD)).status, 200);
});

Deno.test("Guessing the current password of a session locks out only the guesser", async () => {
  const { id, token } = await app.person();
  const thief = newAddress();
  const email = `${newLogin()}@rookery.test`;
  const change = (address: string, current: string) =>
    from(address, "PATCH", `/users/${id}`, { token, body: { email, current } });
  for (let i = 0; i < EACH; i++) {
    const guess = { token, body: { current: WRONG, new: "Other-Horse2" } };
    const { slug } = i % 2 ? await change(thief, WRONG) : await from(thief, "POST", "/security/password", guess);
    assert.equal(slug, "validation");
  }
  assert.equal((await change(thief, PASSWORD)).slug, "rate-limited");
  assert.equal((await change(OWNER, PASSWORD)).status, 200);
});

Deno.test("Wrong recovery codes from other addresses leave the owner's code and new requests valid", async () => {
  const { email } = await app.person();
  const recover = (address: string) => from(address, "POST", "/security/recover", { body: { email } });
  assert.equal((await recover(OWNER)).status, 204);
  const code = await app.code(email);
  const reset = (address: string, code: string) =>
    from(address, "POST", "/security/reset", { body: { email, code, new: "Other-Horse2" } });
  const strangers = Array.from({ length: 8 }, newAddress);
  await Promise.all(strangers.map(async (address) => {
    for (let i = 0; i < 4; i++) assert.equal((await reset(address, "WRONG000")).slug, "code-invalid");
    for (let i = 0; i < 4; i++) await recover(address);
  }));
  assert.equal((await recover(OWNER)).status, 204);
  assert.equal((await reset(OWNER, code)).status, 204);
});

Deno.test("Requesting codes repeatedly gives no more guesses at the valid one", async () => {
  const { email } = await app.person();
  for (const named of [email, `${newLogin()}@rookery.test`]) {
    const guesser = newAddress();
    const recover = () => from(guesser, "POST", "/security/recover", { body: { email: named } });
    const guess = async () => {
      const body = { email: named, code: "WRONG000", new: "Other-Horse2" };
      return (await from(guesser, "POST", "/security/reset", { body })).slug;
    };
    assert.equal((await recover()).status, 204);
    for (let i = 0; i < MAX_RECOVERY_GUESSES; i++) assert.equal(await guess(), "code-invalid");
    assert.equal((await recover()).status, 204);
    assert.equal(await guess(), "code-exhausted");
  }
});

Deno.test("Wrong guesses at a recovery code are reset when a new code is sent", async () => {
  await using cache = new MemoryCache();
  const secret = new Secret("a secret for tests only, long enough");
  const guesses = new RecoveryGuesses(cache, secret, { pauseMs: 1, max: 2, windowMs: 60_000 });
  const shut = async () => {
    for (let i = 0; i < MAX_RECOVERY_GUESSES; i++) await guesses.count("a", "ada@rookery.test").catch(() => {});
    return await guesses.count("a", "ada@rookery.test").then(() => false, () => true);
  };
  for (let i = 0; i < 4; i++) {
    assert.equal(await shut(), true);
    await guesses.asked("a", "Ada@rookery.test");
    const opened = await guesses.count("a", "ada@rookery.test").then(() => true, () => false);
    assert.equal(opened, i < 2, `asked ${i + 1} times`);
    await sleep(5);
  }
});

Deno.test("An account with a pending email does not reset wrong guesses at the account that has it", async () => {
  const [owner, guesser] = await app.people(2) as [Person, Person];
  const address = newAddress();
  const change = { email: owner.email, current: guesser.password };
  assert.equal(
    (await from(address, "PATCH", `/users/${guesser.id}`, { token: guesser.token, body: change })).status,
    200,
  );
  const signIn = (password: string) =>
    from(address, "POST", "/security/login", { body: { login: owner.email, password } });
  const open = (password: string) => from(address, "POST", "/mail/inbox", { body: { email: owner.email, password } });
  for (let i = 0; i < EACH - 1; i++) assert.equal((await signIn(WRONG)).status, 401);
  // Both have the same password in these tests.
  await from(OWNER, "POST", "/security/password", {
    token: owner.token,
    body: { current: owner.password, new: "Other-Horse2" },
  });
  assert.equal((await open(guesser.password)).status, 200);
  assert.equal((await open(guesser.password)).status, 200, "it does not count as a guess either");
  assert.equal((await signIn(WRONG)).status, 401);
  assert.equal((await signIn(WRONG)).slug, "rate-limited");
});

Deno.test("A change of another profile does not reset wrong guesses at the administrator's password", async () => {
  const [admin, other] = await Promise.all([app.person({ role: "admin" }), app.person()]);
  const thief = newAddress();
  const { token } = admin;
  const guess = () =>
    from(thief, "POST", "/security/password", { token, body: { current: WRONG, new: "Other-Horse2" } });
  for (let i = 0; i < EACH; i++) assert.equal((await guess()).slug, "validation");
  const body = { first_name: "Grace", current: WRONG };
  assert.equal((await from(thief, "PATCH", `/users/${other.id}`, { token, body })).status, 200);
  assert.equal((await guess()).slug, "rate-limited");
});

Deno.test("Guesses at an unknown name are limited like those at an account", async () => {
  const { login } = await app.person();
  const seen = await Promise.all([login, newLogin()].map(async (name) => {
    const [one, other] = [newAddress(), newAddress()];
    const answers: unknown[] = [];
    for (const address of [...Array(EACH + 1).fill(one), other]) {
      const { status, slug, headers } = await from(address, "POST", "/security/login", {
        body: { login: name, password: WRONG },
      });
      answers.push([status, slug, headers.get("ratelimit-policy")]);
    }
    return answers;
  }));
  assert.deepEqual(seen[0], seen[1]);
});

Deno.test("The right password resets the wrong ones before it", async () => {
  const { login } = await app.person();
  const address = newAddress();
  const signIn = (password: string) => from(address, "POST", "/security/login", { body: { login, password } });
  for (let i = 0; i < EACH - 1; i++) await signIn(WRONG);
  assert.equal((await signIn(PASSWORD)).status, 200);
  for (let i = 0; i < EACH - 1; i++) assert.equal((await signIn(WRONG)).slug, "credentials-invalid");
});

Deno.test("A client of a mail service that invents tokens does not keep others from unsubscribing", async () => {
  const { id } = await app.person();
  const service = newAddress();
  const end = (token: string) => from(service, "POST", `/notifications/unsubscribe?token=${encodeURIComponent(token)}`);
  const made = Array.from({ length: LIMITS.unsubscribe.limit }, () => end("made-up"));
  for (const { status } of await Promise.all(made)) assert.equal(status, 422);
  assert.equal((await end("made-up")).slug, "rate-limited");
  assert.equal((await end(unsubscribeToken(app.ctx.secret, id))).status, 200);
});

Deno.test("Guesses are delayed more and more, up to a limit", () => {
  assert.deepEqual([0, 1, FREE_GUESSES].map(delayMs), [0, 0, 0]);
  const delays = [FREE_GUESSES + 1, 50, 70, 90, 150, 1e6].map(delayMs);
  assert.deepEqual(delays, [250, 500, 1_000, 2_000, MAX_DELAY_MS, MAX_DELAY_MS]);
});

/** Sets the number of guesses at a name. */
async function after(count: number): Promise<{ guesses: Guesses } & AsyncDisposable> {
  const cache = new MemoryCache();
  const limiter = new RateLimiter(cache, true);
  await limiter.count("guesses:ada", count, WINDOW_MS);
  return { guesses: new Guesses(limiter), [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose]() };
}

function wrong(): Promise<never> {
  return Promise.reject(new AppError("credentials-invalid"));
}

Deno.test("A guess at an account with many guesses waits, one at another account does not", async () => {
  await using world = await after(FREE_GUESSES);
  const judged: string[] = [];
  const begun = performance.now();
  await Promise.all(["ada", "bob"].map(async (name) => {
    assert.equal(await world.guesses.judge({ name, address: "a" }, () => 7), 7);
    judged.push(name);
  }));
  assert.ok(performance.now() - begun >= 240);
  assert.deepEqual(judged, ["bob", "ada"]);
});

Deno.test("Over the limit of waiting guesses earlier guessers are rejected, and new addresses are not", async () => {
  await using world = await after(FREE_GUESSES);
  const ends = await Promise.all(Array.from({ length: 30 }, async (_, i) => {
    const guess = () => world.guesses.judge({ name: "ada", address: `${i}` }, wrong).catch((error) => error.code);
    assert.equal(await guess(), "credentials-invalid", "the first of an address");
    return await guess();
  }));
  assert.equal(ends.filter((code) => code === "credentials-invalid").length, 20);
  assert.equal(ends.filter((code) => code === "rate-limited").length, 10);
  assert.equal(await world.guesses.judge({ name: "ada", address: "the owner's" }, () => "in"), "in");
});

Deno.test("While the cache is unavailable a node counts guesses alone", async () => {
  await using cache = new MemoryCache();
  cache.increment = () => Promise.reject(new CacheUnavailable());
  const guesses = new Guesses(new RateLimiter(cache, true));
  const guess = (work: () => Promise<unknown>) =>
    guesses.judge({ name: "ada", address: "a" }, work).catch((error) => error.code);
  for (let i = 0; i < EACH - 1; i++) assert.equal(await guess(wrong), "credentials-invalid");
  assert.equal(await guess(() => Promise.resolve("in")), "in");
  for (let i = 0; i < EACH; i++) assert.equal(await guess(wrong), "credentials-invalid");
  assert.equal(await guess(wrong), "rate-limited");
});

Deno.test("A failure for another reason does not count as a guess", async () => {
  await using world = await after(0);
  const guess = (work: () => Promise<unknown>) =>
    world.guesses.judge({ name: "ada", address: "a" }, work).catch((error) => error.code);
  for (let i = 0; i < 2 * EACH; i++) {
    assert.equal(await guess(() => Promise.reject(new AppError("database-unavailable"))), "database-unavailable");
  }
});
