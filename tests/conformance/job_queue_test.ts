import assert from "node:assert/strict";
import process from "node:process";
import { Redis } from "ioredis";
import { MAX_WAITING } from "../../jobs/queue/queue.ts";
import { LocalJobQueue } from "../../jobs/queue/local.ts";
import { RedisJobQueue } from "../../jobs/queue/redis.ts";

import { boundToParent, freePort, type Server, startRedis } from "../support/servers.ts";
import { ids, jobQueueSuite, Worker } from "./job_queue_suite.ts";
import { until } from "../support/wait.ts";
import { sleep } from "../../lib/sleep.ts";

jobQueueSuite("LocalJobQueue", () => new LocalJobQueue());

Deno.test("LocalJobQueue drops an id that waits or is in progress", async () => {
  await using queue = new LocalJobQueue();
  const worker = new Worker();
  worker.hold();
  await using _ = queue.consume(worker.work, 1);
  for (let i = 0; i < 3; i++) assert.equal(await queue.push(["in progress", "waiting"]), true);
  worker.release();
  await until("both jobs are done", () => worker.done.length === 2);
  await sleep(50);
  assert.deepEqual(worker.started, ["in progress", "waiting"]);
});

Deno.test("LocalJobQueue limits the concurrency of work that pushes ids", async () => {
  await using queue = new LocalJobQueue();
  const worker = new Worker(() => sleep(5));
  await using _ = queue.consume(async (id) => {
    if (id === "j0") void queue.push(ids(1, 10));
    await worker.work(id);
  }, 2);
  await queue.push(["j0"]);
  await until("all jobs are done", () => worker.done.length === 10);
  assert.equal(worker.most, 2);
});

Deno.test("LocalJobQueue rejects ids over its limit", async () => {
  await using queue = new LocalJobQueue();
  assert.equal(await queue.push(ids(0, MAX_WAITING)), true);
  assert.equal(await queue.push(["one too many"]), false);
});

const url = Deno.env.get("TEST_REDIS_URL");
if (url) {
  // A busy machine can be silent for longer than the default timeout.
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
  await using queue = new RedisJobQueue(server.url, { idleMs: 1_500 });
  await queue.push(ids(0, 5));
  const code = `
    import { RedisJobQueue } from "${new URL("../../jobs/queue/redis.ts", import.meta.url)}";
    const queue = new RedisJobQueue("${server.url}", { idleMs: 1_500 });
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
  const worker = new Worker();
  await using _ = queue.consume(worker.work, 2);
  await until("the remaining ids are done", () => worker.done.length === 1);
  await sleep(2_500);
  assert.deepEqual(worker.done, ["j4"], "ids in progress stay with their process while it lives");
  child.kill("SIGKILL");
  await child.status;
  await until("the ids of the dead process are done", () => worker.done.length >= 4);
  assert.deepEqual(worker.done.toSorted(), ids(1, 5));
});

redisTest("leaves no data of finished work and closed consumers", async (server) => {
  const redis = new Redis(server.url);
  const worker = new Worker();
  {
    await using queue = new RedisJobQueue(server.url);
    await using _ = queue.consume(worker.work, 2);
    await using __ = queue.consume(worker.work, 2);
    await queue.push(ids(0, 10));
    await until("all jobs are done", () => worker.done.length === 10);
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
  await until("the dead consumer is removed", async () => {
    const consumers = await redis.xinfo("CONSUMERS", "rookery:crop", "crop") as unknown[][];
    return consumers.every(([, name]) => name !== "dead");
  });
  redis.disconnect();
});

redisTest("continues after FLUSHALL, with ids waiting and in progress", async (server) => {
  const redis = new Redis(server.url);
  await using queue = new RedisJobQueue(server.url, { idleMs: 400, timeout: 5_000 });
  const worker = new Worker();
  await using _ = queue.consume(worker.work, 2);
  for (let round = 0; round < 3; round++) {
    worker.hold();
    await until("ten ids are accepted", () => queue.push(ids(0, 10)));
    await until("two are in progress", () => worker.inProgress.size === 2);
    await redis.flushall();
    await until("another id is accepted", () => queue.push([`after ${round}`]));
    worker.release();
    await until("the later ids are done", () => worker.done.includes(`after ${round}`));
  }
  await redis.flushall();
  await sleep(600);
  await until("one more id is accepted", () => queue.push(["in the end"]));
  await until("the job is done", () => worker.done.includes("in the end"));
  redis.disconnect();
});

redisTest("does not delete another id in place of one in progress", async (server) => {
  const redis = new Redis(server.url);
  await using queue = new RedisJobQueue(server.url, { idleMs: 400, timeout: 5_000 });
  const worker = new Worker();
  await using _ = queue.consume(worker.work, 1);
  worker.hold();
  await queue.push(["before"]);
  await until("the work is in progress", () => worker.inProgress.size === 1);
  const [[place] = ["none"]] = await redis.xrange("rookery:crop", "-", "+");
  await redis.flushall();
  await redis.xadd("rookery:crop", place, "job", "after");
  worker.release();
  await until("the other id is done", () => worker.done.includes("after"));
  redis.disconnect();
});

for (const wipe of [false, true]) {
  redisTest(
    `continues after its server was killed and restarted ${wipe ? "empty" : "with its data"}`,
    async (server) => {
      await using queue = new RedisJobQueue(server.url, { idleMs: 400 });
      const worker = new Worker();
      await using _ = queue.consume(worker.work, 2);
      await until("one id is accepted", () => queue.push(["before"]));
      await until("the first work", () => worker.done.length > 0);
      worker.hold();
      await until("ten ids are accepted", () => queue.push(ids(0, 10)));
      await until("two are in progress", () => worker.inProgress.size === 2);
      await server.kill();
      await until("the queue notices the loss", async () => !await queue.push(["lost"]));
      worker.release();
      await sleep(500);
      await server.restart({ wipe });
      await until("the queue accepts ids again", () => queue.push(["after"]));
      await until("the later ids are done", () => worker.done.includes("after"));
      if (!wipe) await until("the earlier ids are done", () => ids(0, 10).every((id) => worker.done.includes(id)));
    },
  );
}

redisTest("rejects at once, polls rarely and stops in time while its server is unavailable", async () => {
  const port = await freePort();
  let asked = 0;
  const fakeServer = Deno.listen({ hostname: "127.0.0.1", port });
  const refusing = (async () => {
    for await (const connection of fakeServer) {
      asked++;
      connection.close();
    }
  })();
  const queue = new RedisJobQueue(`redis://127.0.0.1:${port}`);
  queue.consume(async () => {}, 2);
  await within(4_000, async () => assert.equal(await queue.push(["a"]), false));
  const took: number[] = [];
  for (let i = 0; i < 10; i++) {
    took.push(await within(2_400, async () => assert.equal(await queue.push(["a"]), false)));
  }
  // A busy machine only makes them longer.
  assert.ok(Math.min(...took) <= 300, `took ${took} ms`);
  const before = process.cpuUsage();
  await sleep(2_000);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 500_000, `was busy for ${user + system} µs of 2 s`);
  assert.ok(asked < 60, `asked ${asked} times`);
  await within(4_000, () => queue[Symbol.asyncDispose]());
  fakeServer.close();
  await refusing;
});

redisTest("rejects and stops in time while its server hangs, and continues afterwards", async (server) => {
  const worker = new Worker();
  await using queue = new RedisJobQueue(server.url, { idleMs: 1_000 });
  await using _ = queue.consume(worker.work, 2);
  const leaving = queue.consume(async () => {}, 2);
  await queue.push(["before"]);
  await until("the first work", async () => worker.done.length > 0 || !await queue.push(["before"]));
  server.signal("SIGSTOP");
  await within(4_000, () => leaving[Symbol.asyncDispose]());
  await within(2_800, async () => assert.equal(await queue.push(["a"]), false));
  await sleep(1_000);
  server.signal("SIGCONT");
  await until("the queue accepts ids again", () => queue.push(["after"]));
  // The server may have given it to a connection whose end it had not noticed.
  await until("the later ids are done", () => worker.done.includes("after"));
});

redisTest("abandons connections that do not respond", async (server) => {
  await using network = new Network(Number(new URL(server.url).port));
  const worker = new Worker();
  await using queue = new RedisJobQueue(network.url, { idleMs: 1_000 });
  await using _ = queue.consume(worker.work, 2);
  await until("the first work", async () => worker.done.length > 0 || !await queue.push(["before"]));
  network.silence();
  assert.equal(await queue.push(["lost"]), false);
  await until("the queue accepts ids again", () => queue.push(["after"]));
  await until("the later ids are done", () => worker.done.includes("after"));
});

/** A proxy between a queue and its server. */
class Network implements AsyncDisposable {
  #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  #connections: { silent: boolean; ends: Deno.Conn[] }[] = [];
  #accepting = this.#accept();

  constructor(private readonly port: number) {}

  get url(): string {
    return `redis://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  /** Existing connections pass nothing on any more, not even their end. */
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
        // The connection is closed, since its stream was read to the end.
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

/** How long it took, at most `ms`. */
async function within(ms: number, act: () => PromiseLike<void>): Promise<number> {
  const start = Date.now();
  await act();
  const took = Date.now() - start;
  assert.ok(took <= ms, `took ${took} ms`);
  return took;
}
