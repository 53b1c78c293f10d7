/**
 * The embedded database on a disk that stays full until its write-ahead log has no space: it ends, and restarts when
 * there is space.
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import type { Answer } from "../support/api.ts";
import { NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { jpegOf } from "../support/pictures.ts";
import { postmastersOf } from "../support/embedded_server.ts";
import { smallDisk, takeRoom } from "../support/small_disk.ts";
import { until } from "../support/wait.ts";

/** Mounting needs root. */
const options = {
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  sanitizeOps: false,
  sanitizeResources: false,
};
const SIZE = "160m";
/** Time limit for the many writes that fill the log's disk. */
const FILL_MS = 240_000;
/** How long the disk stays full. A value above the time limit of a start can be tried by hand. */
const FULL_S = Number(Deno.env.get("TEST_FULL_SECONDS") ?? 15);

Deno.test(
  "A disk that stays full loses nothing acknowledged, and the node recovers",
  options,
  async () => {
    await using disk = await smallDisk(SIZE);
    await using node = await NodeProcess.on({ path: disk.path, [Symbol.asyncDispose]: async () => {} }, {});
    const [ada] = await makePeople(node, 1) as [Person];
    const writes = new Writes(ada, await jpegOf(1_500, 1_500));
    for (let i = 0; i < 5; i++) assert.equal(await writes.post(), 201);
    assert.ok([201, 202].includes(await writes.photo()), "accepted, if not ready at once");
    await takeRoom(`${disk.path}/filler`);
    // Overwritten pairs need space only in the log.
    await until("the log has no space", async () => {
      await Promise.all(Array.from({ length: 8 }, (_, writer) => writes.pairs(writer)));
      if (/No space left/.test(node.output)) await takeRoom(`${disk.path}/filler`);
      return /"message":"embedded Postgres exited, restarting"/.test(node.output);
    }, { everyMs: 1, timeoutMs: FILL_MS });
    const end = performance.now() + FULL_S * 1_000;
    while (performance.now() < end) {
      await Promise.all([writes.post(), writes.pairs(), writes.photo()]);
      assert.equal((await fetch(`${node.url}/healthz`)).status, 200);
      await sleep(200);
    }
    const kinds = new Map<string, number>();
    for (const { status, headers, body } of writes.refused) {
      assert.equal(status, 503, JSON.stringify(body));
      assert.ok(Number(headers.get("retry-after")) > 0, JSON.stringify(body));
      const kind = body.type.split("/").at(-1);
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    say(`full for ${FULL_S} s: ${JSON.stringify(Object.fromEntries(kinds))}; ${writes.stored.size} posts stored`);
    await Deno.remove(`${disk.path}/filler`);
    const start = performance.now();
    await until("posts are accepted again", async () => await writes.post() === 201, { everyMs: 50 });
    say(`with space again after ${Math.round(performance.now() - start)} ms`);
    await until("photos are accepted again", async () => await writes.photo() === 201, { everyMs: 100 });
    assert.equal((await postmastersOf(disk.path)).length, 1);
    await writes.holdAgainst(node);
    assert.equal((await node.stop()).code, 0);
    await node.restart();
    await writes.holdAgainst(node);
  },
);

Deno.test("A node whose database has no space to start ends cleanly within 10 seconds", options, async () => {
  await using disk = await smallDisk(SIZE);
  await using node = await NodeProcess.on({ path: disk.path, [Symbol.asyncDispose]: async () => {} }, {});
  const [ada] = await makePeople(node, 1) as [Person];
  const writes = new Writes(ada, new Uint8Array());
  await takeRoom(`${disk.path}/filler`);
  await until("the database cannot start", async () => {
    await Promise.all(Array.from({ length: 8 }, (_, writer) => writes.pairs(writer)));
    await takeRoom(`${disk.path}/filler`);
    return /"message":"embedded Postgres did not start"/.test(node.output);
  }, { everyMs: 1, timeoutMs: FILL_MS });
  const { code, ms } = await node.stop();
  assert.equal(code, 0, node.output);
  assert.ok(ms < 10_000, `it took ${Math.round(ms)} ms`);
  assert.deepEqual(await postmastersOf(disk.path), []);
});

class Writes {
  /** Post → status of the answer. */
  readonly stored = new Map<string, number>();
  readonly refused: Answer[] = [];
  #batch = 0;
  /** Writer → number of its last batch. */
  readonly #acknowledged = new Map<number, number>();

  constructor(private readonly person: Person, private readonly picture: Uint8Array) {}

  async post(): Promise<number> {
    return this.#created(
      await this.person.call("POST", `/pages/${this.person.page_id}/posts`, { text: "a long post ".repeat(300) }),
    );
  }

  async photo(): Promise<number> {
    const photos = [{ name: "photo.jpg", data: this.picture.toBase64() }];
    return this.#created(
      await this.person.call("POST", `/pages/${this.person.page_id}/posts`, { text: "a photo", photos }),
    );
  }

  /** Overwrites a writer's few pairs. Small enough for the space that old row versions free. */
  async pairs(writer = 0): Promise<void> {
    const number = ++this.#batch;
    const value = { number, text: crypto.randomUUID().repeat(40) };
    const data = Object.fromEntries(keysOf(writer).map((key) => [key, value]));
    const answer = await this.person.call("POST", "/kv/write", { data, mode: "overwrite" });
    if (answer.status < 300) this.#acknowledged.set(writer, number);
    else this.refused.push(answer);
  }

  async holdAgainst(node: NodeProcess): Promise<void> {
    const rows = await node.sql.query<{ id: string; state: string }>("select id, state from posts");
    const states = new Map(rows.map(({ id, state }) => [id, state]));
    for (const [id, status] of this.stored) {
      // Photos that took longer than the answer may still be in progress.
      const isKept = status === 201 ? states.get(id) === "ready" : states.has(id);
      assert.ok(isKept, `the post ${id}, answered with ${status}, is ${states.get(id)}`);
    }
    for (const [writer, number] of this.#acknowledged) {
      const { data } = await this.person.do("POST", "/kv/read", { keys: keysOf(writer) });
      const numbers = new Set(Object.values<{ number: number }>(data).map(({ number }) => number));
      assert.equal(numbers.size, 1, "a batch is complete");
      // A write that was rejected at its commit may still exist.
      assert.ok([...numbers][0]! >= number, `the pairs of writer ${writer}`);
    }
  }

  #created(answer: Answer): number {
    if (answer.status < 300) this.stored.set(answer.body.id, answer.status);
    else this.refused.push(answer);
    return answer.status;
  }
}

function keysOf(writer: number): string[] {
  return Array.from({ length: 8 }, (_, i) => `key ${writer} ${i}`);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
