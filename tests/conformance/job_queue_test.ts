import assert from "node:assert/strict";
import process from "node:process";
import { Redis } from "ioredis";
import { MAX_WAITING } from "../../jobs/queue/queue.ts";
import { LocalJobQueue } from "../../jobs/queue/local.ts";
import { RedisJobQueue } from "../../jobs/queue/redis.ts";

import { boundToParent, freePort, type Server, startRedis } from "../support/servers.ts";
import { Crew, ids, jobQueueSuite } from "./job_queue_suite.ts";
import { until } from "../support/wait.ts";
import { sleep } from "../../lib/sleep.ts";

jobQueueSuite("LocalJobQueue", () => new LocalJobQueue());

Deno.test("LocalJobQueue drops an id that waits or is worked on", async () => {
  await using queue = new LocalJobQueue();
  const crew = new Crew();
  crew.hold();
  await using _ = queue.consume(crew.work, 1);
  for (let i = 0; i < 3; i++) assert.equal(await queue.push(["under way", "waiting"]), true);
  crew.release();
  await until("both are done", () => crew.done.length === 2);
  await sleep(50);
  assert.deepEqual(crew.started, ["under way", "waiting"]);
});

Deno.test("LocalJobQueue has work that pushes keep to its bound", async () => {
  await using queue = new LocalJobQueue();
  const crew = new Crew(() => sleep(5));
  await using _ = queue.consume(async (id) => {
    if (id === "j0") void queue.push(ids(1, 10));
    await crew.work(id);
  }, 2);
  await queue.push(["j0"]);
  await until("all is done", () => crew.done.length === 10);
  assert.equal(crew.most, 2);
});

Deno.test("LocalJobQueue refuses what is too much", async () => {
  await using queue = new LocalJobQueue();
  assert.equal(await queue.push(ids(0, MAX_WAITING)), true);
  assert.equal(await queue.push(["one too many"]), false);
});

const url = Deno.env.get("TEST_REDIS_URL");
if (url) {
  // A busy machine may be silent for longer than a caller would wait.
  const options = () => ({ stream: `test:${crypto.randomUUID()}`, timeout: 5_000 });
  jobQueueSuite("RedisJobQueue", () => new RedisJobQueue(url, options()));
}

function redisTest(name: string, run: (server: Server) => Promise<void>): void {
  Deno.test({
    name: `RedisJobQueue ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    ignore: !url,
    fn: async () => {
      await using server = await startRedis();
      await run(server);
    },
  });
}

redisTest("gives the work of a killed process to another consumer", async (server) => {
  await using queue = new RedisJobQueue(server.url, { idleMs: 400 });
  await queue.push(ids(0, 5));
  const code = `
    import { RedisJobQueue } from "${new URL("../../jobs/queue/redis.ts", import.meta.url)}";
    const queue = new RedisJobQueue("${server.url}", { idleMs: 400 });
    queue.consume(async (id) => {
      console.log(id);
      if (id !== "j0") await new Promise(() => {});
    }, 3);`;
  const [program, args] = boundToParent([Deno.execPath(), "eval", "--ext=ts", code]);
  const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped", stderr: "inherit" }).spawn();
  let taken = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    taken += text;
    if (taken.split("\n").length > 4) break;
  }
  const crew = new Crew();
  await using _ = queue.consume(crew.work, 2);
  await until("the rest is done", () => crew.done.length === 1);
  await sleep(1_000);
  assert.deepEqual(crew.done, ["j4"], "what is under way stays with its process as long as that lives");
  child.kill("SIGKILL");
  await child.status;
  await until("what it held is done", () => crew.done.length >= 4);
  assert.deepEqual(crew.done.toSorted(), ids(1, 5));
});

redisTest("leaves no data of finished work and closed consumers", async (server) => {
  const redis = new Redis(server.url);
  const crew = new Crew();
  {
    await using queue = new RedisJobQueue(server.url);
    await using _ = queue.consume(crew.work, 2);
    await using __ = queue.consume(crew.work, 2);
    await queue.push(ids(0, 10));
    await until("all is done", () => crew.done.length === 10);
  }
  assert.equal(await redis.xlen("rookery:crop"), 0);
  assert.equal((await redis.xpending("rookery:crop", "crop"))[0], 0);
  assert.deepEqual(await redis.xinfo("CONSUMERS", "rookery:crop", "crop"), []);
  redis.disconnect();
});

redisTest("removes consumers that died long ago", async (server) => {
  const redis = new Redis(server.url);
  await redis.xgroup("CREATE", "rookery:crop", "crop", "0", "MKSTREAM");
  await redis.xgroup("CREATECONSUMER", "rookery:crop", "crop", "dead");
  await using queue = new RedisJobQueue(server.url, { idleMs: 50 });
  await using _ = queue.consume(async () => {}, 1);
  await until("it is forgotten", async () => {
    const consumers = await redis.xinfo("CONSUMERS", "rookery:crop", "crop") as unknown[][];
    return consumers.every(([, name]) => name !== "dead");
  });
  redis.disconnect();
});

redisTest("continues after FLUSHALL, with ids waiting and in progress", async (server) => {
  const redis = new Redis(server.url);
  await using queue = new RedisJobQueue(server.url, { idleMs: 400, timeout: 5_000 });
  const crew = new Crew();
  await using _ = queue.consume(crew.work, 2);
  for (let round = 0; round < 3; round++) {
    crew.hold();
    await until("ten ids are taken", () => queue.push(ids(0, 10)));
    await until("two are under way", () => crew.underWay.size === 2);
    await redis.flushall();
    await until("another is taken", () => queue.push([`after ${round}`]));
    crew.release();
    await until("what was pushed after it is done", () => crew.done.includes(`after ${round}`));
  }
  await redis.flushall();
  await sleep(600);
  await until("one more is taken", () => queue.push(["in the end"]));
  await until("it is done", () => crew.done.includes("in the end"));
  redis.disconnect();
});

redisTest("does not delete another id in place of one in progress", async (server) => {
  const redis = new Redis(server.url);
  await using queue = new RedisJobQueue(server.url, { idleMs: 400, timeout: 5_000 });
  const crew = new Crew();
  await using _ = queue.consume(crew.work, 1);
  crew.hold();
  await queue.push(["before"]);
  await until("it is under way", () => crew.underWay.size === 1);
  const [[place] = ["none"]] = await redis.xrange("rookery:crop", "-", "+");
  await redis.flushall();
  await redis.xadd("rookery:crop", place, "job", "after");
  crew.release();
  await until("the other is done", () => crew.done.includes("after"), { timeoutMs: 5_000 });
  redis.disconnect();
});

for (const wipe of [false, true]) {
  redisTest(`continues after its server was killed and came back ${wipe ? "empty" : "as it was"}`, async (server) => {
    await using queue = new RedisJobQueue(server.url, { idleMs: 400 });
    const crew = new Crew();
    await using _ = queue.consume(crew.work, 2);
    await until("one is taken", () => queue.push(["before"]));
    await until("it works", () => crew.done.length > 0);
    crew.hold();
    await until("ten are taken", () => queue.push(ids(0, 10)));
    await until("two are under way", () => crew.underWay.size === 2);
    await server.kill();
    await until("the loss is known", async () => !await queue.push(["lost"]));
    crew.release();
    await sleep(500);
    await server.restart({ wipe });
    await until("it takes ids again", () => queue.push(["after"]));
    await until("what was pushed after it is done", () => crew.done.includes("after"));
    if (!wipe) await until("what was there before is done", () => ids(0, 10).every((id) => crew.done.includes(id)));
  });
}

redisTest("rejects at once, polls rarely and stops in time while its server is unavailable", async () => {
  const port = await freePort();
  let asked = 0;
  const nobody = Deno.listen({ hostname: "127.0.0.1", port });
  const refusing = (async () => {
    for await (const connection of nobody) {
      asked++;
      connection.close();
    }
  })();
  const queue = new RedisJobQueue(`redis://127.0.0.1:${port}`);
  queue.consume(async () => {}, 2);
  await within(1_000, async () => assert.equal(await queue.push(["a"]), false));
  for (let i = 0; i < 10; i++) await within(600, async () => assert.equal(await queue.push(["a"]), false));
  const before = process.cpuUsage();
  await sleep(2_000);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 100_000, `was busy for ${user + system} µs of 2 s`);
  assert.ok(asked < 60, `asked ${asked} times`);
  await within(1_000, () => queue[Symbol.asyncDispose]());
  nobody.close();
  await refusing;
});

redisTest("rejects and stops in time while its server hangs, and continues afterwards", async (server) => {
  const crew = new Crew();
  await using queue = new RedisJobQueue(server.url, { idleMs: 1_000 });
  await using _ = queue.consume(crew.work, 2);
  const leaving = queue.consume(async () => {}, 2);
  await queue.push(["before"]);
  await until("it works", async () => crew.done.length > 0 || !await queue.push(["before"]));
  server.signal("SIGSTOP");
  await within(1_000, () => leaving[Symbol.asyncDispose]());
  await within(700, async () => assert.equal(await queue.push(["a"]), false));
  await sleep(1_000);
  server.signal("SIGCONT");
  await until("it takes ids again", () => queue.push(["after"]));
  // It may have been given to a read whose disconnection the server had not noticed.
  await until("what was pushed after it is done", () => crew.done.includes("after"));
});

redisTest("abandons connections that do not respond", async (server) => {
  await using network = new Network(Number(new URL(server.url).port));
  const crew = new Crew();
  await using queue = new RedisJobQueue(network.url, { idleMs: 1_000 });
  await using _ = queue.consume(crew.work, 2);
  await until("it works", async () => crew.done.length > 0 || !await queue.push(["before"]));
  network.silence();
  assert.equal(await queue.push(["lost"]), false);
  await until("it takes ids again", () => queue.push(["after"]), { timeoutMs: 5_000 });
  await until("what was pushed after it is done", () => crew.done.includes("after"), { timeoutMs: 5_000 });
});

/** Between a queue and its server. */
class Network implements AsyncDisposable {
  #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  #connections: { silent: boolean; ends: Deno.Conn[] }[] = [];
  #accepting = this.#accept();

  constructor(private readonly port: number) {}

  get url(): string {
    return `redis://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  /** Nothing goes through the connections there are any more, not even their end. */
  silence(): void {
    for (const connection of this.#connections) connection.silent = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const end of this.#connections.flatMap(({ ends }) => ends)) {
      try {
        end.close();
      } catch {
        // It is closed, as its stream was read to the end.
      }
    }
  }

  async #accept(): Promise<void> {
    for await (const near of this.#listener) {
      const far = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
      const connection = { silent: false, ends: [near, far] };
      this.#connections.push(connection);
      for (const [from, to] of [[near, far], [far, near]] as const) {
        void (async () => {
          for await (const bytes of from.readable) if (!connection.silent) await to.write(bytes);
        })().catch(() => {});
      }
    }
  }
}

async function within(ms: number, act: () => PromiseLike<void>): Promise<void> {
  const start = Date.now();
  await act();
  assert.ok(Date.now() - start <= ms, `took ${Date.now() - start} ms`);
}
