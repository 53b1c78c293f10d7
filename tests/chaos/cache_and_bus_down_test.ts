/**
 * Without Redis or NATS every route answers as usual, and a node is ready. The servers are its own, and are killed.
 */
import assert from "node:assert/strict";
import { ALL_ROLES, startApp } from "../support/app.ts";
import { testServer } from "../support/database.ts";

import { boundToParent, startNats, startRedis, TEST_LOCK } from "../support/servers.ts";
import { until } from "../support/wait.ts";

const options = { ignore: !Deno.env.has("TEST_NATS_URL"), sanitizeOps: false, sanitizeResources: false };

Deno.test("Without Redis and NATS every route answers as usual", options, async () => {
  await using redis = await startRedis();
  await using nats = await startNats();
  const table = "tests/http/permissions_test.ts";
  const [program, args] = boundToParent([Deno.execPath(), "test", "-A", "--no-check", TEST_LOCK, table]);
  const run = new Deno.Command(program, {
    args,
    cwd: new URL("../../", import.meta.url).pathname,
    env: {
      NO_COLOR: "1",
      TEST_POSTGRES_URL: await testServer(),
      TEST_REDIS_URL: redis.url,
      TEST_NATS_URL: nats.url,
      TEST_KILLED: `${redis.pid} ${nats.pid}`,
    },
  });
  const { success, stdout } = await run.output();
  const output = new TextDecoder().decode(stdout);
  assert.ok(success, output.slice(-6_000));
  const [, passed] = /(\d+) passed/.exec(output) ?? [];
  assert.ok(Number(passed) > 50, `only ${passed} routes were tested`);
});

Deno.test(
  "Without Redis and NATS a node is degraded but ready, and a ticket opens one socket",
  options,
  async () => {
    await using redis = await startRedis();
    await using nats = await startNats();
    await using app = await startApp({ ...ALL_ROLES, REDIS_URL: redis.url, NATS_URL: nats.url, RATE_LIMITS: "on" });
    const readiness = async () => {
      const { status, body } = await app.call("GET", "/readyz");
      return { status, word: body.status, degraded: body.degraded, checks: body.checks };
    };
    assert.equal((await readiness()).status, 200);
    const { token } = await app.person();
    await Promise.all([redis.kill(), nats.kill()]);
    await until("both are reported missing", async () => (await readiness()).degraded?.length === 2);
    const { status, word, degraded, checks } = await readiness();
    assert.deepEqual({ status, word, degraded }, { status: 200, word: "degraded", degraded: ["cache", "bus"] });
    assert.deepEqual([checks.sql, checks.actors, checks.cache, checks.bus], ["ok", "ok", "failed", "failed"]);

    const { ticket } = await app.ok("POST", "/feed/ticket", { token });
    const tries = await Promise.allSettled(Array.from({ length: 6 }, () => app.listen({ ticket })));
    const opened = tries.filter((one) => one.status === "fulfilled").map(({ value }) => value);
    assert.equal(opened.length, 1, "a ticket is used once");
    await opened[0]!.next("hello");
    await Promise.all([redis.restart(), nats.restart()]);
    await assert.rejects(() => app.listen({ ticket }), "nor after the servers are back");
    await until("it is ready again", async () => (await readiness()).word === "ready");
    await opened[0]![Symbol.asyncDispose]();
  },
);
