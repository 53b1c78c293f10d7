import assert from "node:assert/strict";
import type { Answer } from "../support/api.ts";
import { ownApp, startApp } from "../support/app.ts";
import { newLogin, PASSWORD, registration } from "../support/person.ts";

const app = ownApp({ RATE_LIMITS: "on" });

/** Sends as many requests as allowed, then one more, which must be rejected. */
async function exhausted(times: number, ask: (i: number) => Promise<Answer>): Promise<void> {
  for (let i = 0; i < times; i++) assert.notEqual((await ask(i)).slug, "rate-limited", `request ${i + 1} of ${times}`);
  const { slug, headers } = await ask(times);
  assert.equal(slug, "rate-limited");
  const wait = Number(headers.get("retry-after"));
  assert.ok(wait >= 1 && wait <= 60, `Retry-After is ${wait}`);
}

Deno.test("Every answer has the state of the limit", async () => {
  const { token } = await app.person();
  const left = async () => {
    const { headers } = await app.call("GET", "/users/me", { token });
    assert.match(headers.get("ratelimit-policy")!, /^"general_account";q=\d+;w=60$/);
    return Number(/^"general_account";r=(\d+);t=\d+$/.exec(headers.get("ratelimit")!)![1]);
  };
  assert.equal(await left() - await left(), 1);
});

Deno.test("One account can try codes 10 times a minute", async () => {
  const [one, other] = await Promise.all([app.person({ verified: false }), app.person({ verified: false })]);
  const verify = (token: string) => app.call("POST", "/security/verify", { token, body: { code: "WRONG000" } });
  await exhausted(10, () => verify(one.token));
  assert.equal((await verify(other.token)).slug, "code-invalid");
});

Deno.test("10 passwords a minute can be tried for one account, at sign-in and mailbox together", async () => {
  await using limited = await startApp({ RATE_LIMITS: "on", NATS_URL: "", REDIS_URL: "" });
  const { email } = await limited.person();
  await exhausted(
    10,
    (i) =>
      i % 2
        ? limited.call("POST", "/mail/inbox", { body: { email, password: "Wrong-Horse1" } })
        : limited.call("POST", "/security/login", { body: { login: email, password: "Wrong-Horse1" } }),
  );
  assert.equal(
    (await limited.call("POST", "/security/login", { body: { login: email, password: PASSWORD } })).status,
    429,
    "the limit also applies to the right password",
  );
  const other = await limited.person();
  await limited.signIn(other.login);
});

Deno.test("Recovery codes for one address can be requested 10 times a minute", async () => {
  await using limited = await startApp({ RATE_LIMITS: "on", NATS_URL: "", REDIS_URL: "" });
  const email = `${newLogin()}@rookery.test`;
  await exhausted(10, () => limited.call("POST", "/security/recover", { body: { email } }));
});

Deno.test("Accounts can be registered 30 times a minute from one address, rejected ones included", async () => {
  await using limited = await startApp({ RATE_LIMITS: "on", NATS_URL: "", REDIS_URL: "" });
  await exhausted(30, () => limited.call("POST", "/users", { body: { ...registration(), password: "weak" } }));
});
