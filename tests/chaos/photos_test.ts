import assert from "node:assert/strict";
import { Secret } from "../../security/secret.ts";
import { openStorage } from "../../services/storage/open.ts";
import type { Storage } from "../../services/storage/storage.ts";
import { scrubFiles } from "../../services/storage/scrub_files.ts";
import { storageToken } from "../../workers/roles/services.ts";
import { sleep } from "../../lib/sleep.ts";
import type { Json } from "../support/api.ts";
import { NodeProcess, SECRET_KEY } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { jpegOf } from "../support/pictures.ts";
import { type Seeded, seededTest } from "../support/seeded.ts";
import { childrenOf, processesOf } from "../support/processes.ts";
import { until } from "../support/wait.ts";

const photo = { name: "photo.jpg", data: (await jpegOf(900, 700)).toBase64() };
const TIMEOUT = { timeoutMs: 60_000 };

/** Creates posts with photos until stopped; returns the ids of acknowledged ones. */
async function workload(person: Person, stopped: () => boolean, acknowledged: Set<string>): Promise<void> {
  for (let n = 0; !stopped(); n++) {
    try {
      const photos = Array.from({ length: 1 + n % 3 }, () => photo);
      const { status, body } = await person.call("POST", `/pages/${person.page_id}/posts`, { text: `${n}`, photos });
      if (status === 201 || status === 202) acknowledged.add(body.id);
    } catch {
      // The node was killed, so the outcome of this post is unknown.
      await sleep(100);
    }
  }
}

async function allReady(node: NodeProcess, ids: Iterable<string>): Promise<void> {
  for (const id of ids) {
    await until(`the post ${id} is ready`, async () => {
      const [row] = await node.sql.query<{ state: string }>("select state from posts where id = $1", [id]);
      assert.ok(row, `the acknowledged post ${id} is missing`);
      assert.notEqual(row.state, "failed", node.output.slice(-2_000));
      return row.state === "ready";
    }, TIMEOUT);
  }
}

/** Every expected file exists, and after a sweep no other. */
async function assertFilesTrue(node: NodeProcess): Promise<void> {
  await using storage = await storageOf(node);
  await until("the end of the sweep", async () => {
    // Aborted uploads would be kept for an hour, and some are recorded late.
    await node.sql.execute("update unowned_files set due_at = now() where due_at > now()");
    const [row] = await node.sql.query<{ n: number }>("select count(*) as n from unowned_files");
    return row!.n === 0;
  }, TIMEOUT);
  const { orphans, missing } = await scrubFiles(node.sql, storage, { olderThanMs: 0 });
  assert.deepEqual({ orphans: orphans.map(({ key }) => key), missing }, { orphans: [], missing: [] });
}

async function storageOf(node: NodeProcess): Promise<Storage> {
  const url = await Deno.readTextFile(`${node.dataDir}/storage.url`);
  return openStorage({ kind: "rest", url, token: storageToken(new Secret(SECRET_KEY)) });
}

async function killOne(node: NodeProcess, entry: string): Promise<void> {
  await until(`a process of ${entry} is killed`, async () => {
    const [found] = (await childrenOf(node.pid)).filter(({ command }) => command.includes(entry));
    try {
      if (found) Deno.kill(found.pid, "SIGKILL");
      return found !== undefined;
    } catch (error) {
      // It has just ended by itself and is replaced.
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }, TIMEOUT);
}

seededTest("Killed crop processes cost an attempt and no photo", async (random: Seeded) => {
  await using node = await NodeProcess.start();
  const people = await makePeople(node, 3);
  const acknowledged = new Set<string>();
  let stopped = false;
  const workloads = people.map((person) => workload(person, () => stopped, acknowledged));
  for (let kills = 0; kills < 4; kills++) {
    await sleep(random.whole(300, 900));
    await killOne(node, "workers/children/crop.ts");
  }
  await until("some acknowledged writes", () => acknowledged.size > 5, TIMEOUT);
  stopped = true;
  await Promise.all(workloads);
  await allReady(node, acknowledged);
  await assertFilesTrue(node);
});

seededTest(
  "A storage killed during uploads and crops restarts, and no acknowledged photo is lost",
  async (random: Seeded) => {
    await using node = await NodeProcess.start();
    const people = await makePeople(node, 3);
    const acknowledged = new Set<string>();
    let stopped = false;
    const workloads = people.map((person) => workload(person, () => stopped, acknowledged));
    for (let kills = 0; kills < 3; kills++) {
      await sleep(random.whole(500, 1_200));
      await killOne(node, "workers/children/storage.ts");
    }
    stopped = true;
    await Promise.all(workloads);
    await allReady(node, acknowledged);
    await assertFilesTrue(node);
  },
);

seededTest(
  "A node killed during uploads leaves no process, and finishes every acknowledged post later",
  async (random: Seeded) => {
    await using node = await NodeProcess.start();
    const people = await makePeople(node, 3);
    const acknowledged = new Set<string>();
    for (let round = 0; round < 2; round++) {
      let stopped = false;
      const before = acknowledged.size;
      const workloads = people.map((person) => workload(person, () => stopped, acknowledged));
      await until("some acknowledged writes", () => acknowledged.size > before + 2, TIMEOUT);
      await sleep(random.whole(0, 400));
      const children = await childrenOf(node.pid);
      assert.ok(children.some(({ command }) => command.includes("workers/children/storage.ts")));
      await node.kill();
      stopped = true;
      await Promise.all(workloads);
      await until("its processes have ended", async () => (await processesOf(children)).length === 0, TIMEOUT);
      await node.restart();
      // Claims of dead processes are still running.
      await node.sql.execute("update jobs set lease_until = now() where state = 'running'");
    }
    await allReady(node, acknowledged);
    await assertFilesTrue(node);
  },
);

Deno.test("Posts and accounts deleted while their photos are cropped leave no files", async () => {
  await using node = await NodeProcess.start();
  const [ada] = await makePeople(node, 1) as [Person];
  const made: Promise<Json>[] = [];
  for (let n = 0; n < 12; n++) {
    const sent = ada.call("POST", `/pages/${ada.page_id}/posts`, { photos: [photo, photo] });
    made.push(sent);
    // Found right after its commit, long before its answer.
    const id = await until("it is committed", async () => {
      const [row] = await node.sql.query<{ id: string }>(
        "select id from posts where page_id = $1 and state = 'processing' order by id desc limit 1",
        [ada.page_id],
      );
      return row?.id;
    }, { everyMs: 1 });
    await sleep(n * 15);
    assert.ok([204, 404].includes((await ada.call("DELETE", `/posts/${id}`)).status));
  }
  await Promise.allSettled(made);
  await until("no job is left", async () => {
    const [row] = await node.sql.query<{ n: number }>("select count(*) as n from jobs where kind like 'photo.%'");
    return row!.n === 0;
  }, TIMEOUT);
  await assertFilesTrue(node);
});

Deno.test("Ctrl-C reaches every process, and the node still stops cleanly", async () => {
  await using node = await NodeProcess.start();
  const [ada] = await makePeople(node, 1) as [Person];
  await ada.post("", { photos: [photo] });
  // The last child to start. Before that, signals are not handled.
  await until(
    "the statistics answer",
    async () => (await ada.call("GET", `/pages/${ada.page_id}/stats`)).status === 200,
  );
  const children = await childrenOf(node.pid);
  for (const role of ["storage", "mail", "stats", "crop"]) {
    assert.ok(
      children.some(({ command }) => command.endsWith(`/workers/children/${role}.ts`)),
      JSON.stringify(children),
    );
  }
  for (const { pid } of children) Deno.kill(pid, "SIGINT");
  await sleep(300);
  assert.equal((await processesOf(children)).length, children.length, "children wait for their parent");
  assert.equal((await node.stop()).code, 0);
  assert.ok(!node.output.includes("exited, restarting"), node.output);
  await until("no process is left", async () => (await processesOf(children)).length === 0, { timeoutMs: 10_000 });
});
