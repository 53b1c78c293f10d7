import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { clearRedis } from "../../../lib/cache/redis.ts";
import { startRedis } from "../../support/servers.ts";

Deno.test({
  name: "A restore removes only the installation's keys from Redis",
  ignore: !Deno.env.has("TEST_REDIS_URL"),
  async fn() {
    await using server = await startRedis();
    const redis = new Redis(server.url);
    for (let i = 0; i < 1_200; i++) await redis.set(`rookery:general_account:${i}`, "1");
    await redis.set("rookery:vk:token:one", "a copy");
    await redis.xadd("rookery:crop:mine", "*", "id", "1");
    await redis.xadd("rookery:crop:other", "*", "id", "1");
    await redis.set("somebody:else", "1");
    await clearRedis(server.url, { queues: ["rookery:crop:mine"], spared: "rookery:crop:" });
    assert.deepEqual((await redis.keys("*")).sort(), ["rookery:crop:other", "somebody:else"]);
    redis.disconnect();
    await server.stop();
    await assert.rejects(clearRedis(server.url, { queues: [], spared: "rookery:crop:" }));
  },
});
