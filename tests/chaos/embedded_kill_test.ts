/** The embedded default under SIGKILL of Rookery, of Postgres, of the shell between them, and of all at once. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import {
  awaitNoServer,
  killAll,
  postgresOf,
  postmastersOf,
  serverOf,
  watchingServers,
} from "../support/embedded_server.ts";
import type { Answer } from "../support/api.ts";
import { NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { childrenOf } from "../support/processes.ts";
import { seededTest } from "../support/seeded.ts";
import { assertCountersTrue, assertHistoryWhole, WriteWorkload } from "../support/write_workload.ts";
import { until } from "../support/wait.ts";

const options = { ignore: Deno.build.os !== "linux", sanitizeOps: false, sanitizeResources: false };

Deno.test("A killed node leaves no Postgres behind, and an immediate start never finds two", options, async () => {
  await using node = await NodeProcess.start({ full: false });
  const [ada] = await makePeople(node, 1) as [Person];
  const posts = new PostLog(ada);
  for (let i = 0; i < 20; i++) await posts.write();
  await node.kill();
  const ms = await awaitNoServer(node.dataDir);
  assert.ok(ms < 6_000, `Postgres outlived the node by ${Math.round(ms)} ms`);
  await node.restart();
  for (let round = 0; round < 4; round++) {
    await posts.write();
    const old = await serverOf(node.dataDir);
    const twice = await watchingServers(node.dataDir, async () => {
      await node.kill();
      await node.restart();
    });
    assert.equal(twice, 0, "two servers on one folder");
    assert.notEqual((await serverOf(node.dataDir)).postmaster, old.postmaster);
    await posts.write();
  }
  await posts.holdAgainst(node);
});

const VICTIMS = {
  "the postmaster": async (dataDir: string) => [(await serverOf(dataDir)).postmaster],
  "a backend": async (dataDir: string) => (await serverOf(dataDir)).backends.slice(0, 1),
  "the shell that guards it": async (dataDir: string) => [(await serverOf(dataDir)).guard],
  "the postmaster, stopped before": async (dataDir: string) => {
    const { postmaster } = await serverOf(dataDir);
    Deno.kill(postmaster, "SIGSTOP");
    return [postmaster];
  },
  "all of Postgres": postgresOf,
};
/** An idle machine needs a sixth of this. */
const BACK_WITHIN_MS = 6_000;

for (const [what, victims] of Object.entries(VICTIMS)) {
  Deno.test(`With ${what} killed, the node continues with another server`, options, async () => {
    await using node = await NodeProcess.start({ full: false });
    const [ada] = await makePeople(node, 1) as [Person];
    const posts = new PostLog(ada);
    for (let i = 0; i < 5; i++) await posts.write();
    const pid = node.pid;
    const { postmaster, backends } = await serverOf(node.dataDir);
    const pids = await victims(node.dataDir);
    assert.ok(pids.length > 0);
    const before = posts.stored.size;
    let stopped = false;
    const writing = Promise.all(Array.from({ length: 4 }, async () => {
      while (!stopped) if (!await posts.write()) await sleep(10);
    }));
    await until("writes are in progress", () => posts.stored.size > before + 8, { everyMs: 2 });
    const start = performance.now();
    killAll(pids);
    // After the death of a backend the postmaster itself restarts all others.
    const isMended = async () => {
      const [now, ...others] = await postmastersOf(node.dataDir);
      if (now === undefined || others.length > 0) return false;
      if (what !== "a backend") return now !== postmaster;
      const left = await postgresOf(node.dataDir);
      return backends.every((pid) => !left.includes(pid));
    };
    await until("a server runs again", isMended, { everyMs: 5 });
    // A new write, since one in progress may have been stored before.
    await until("a post is accepted", () => posts.write(), { everyMs: 5 });
    const ms = performance.now() - start;
    stopped = true;
    await writing;
    say(`${what}: writes succeed again after ${Math.round(ms)} ms, ${posts.refused.length} rejected meanwhile`);
    assert.ok(ms < BACK_WITHIN_MS, `it took ${Math.round(ms)} ms`);
    assert.equal(node.pid, pid);
    for (const { status, headers, body } of posts.refused) {
      assert.deepEqual([status, body.status, typeof body.title], [503, 503, "string"], JSON.stringify(body));
      assert.match(headers.get("content-type") ?? "", /^application\/problem\+json/);
      assert.ok(Number(headers.get("retry-after")) > 0, JSON.stringify(body));
    }
    if (what !== "a backend") assert.match(node.output, /"message":"embedded Postgres exited, restarting"/);
    await posts.holdAgainst(node);
  });
}

const ROUNDS = 20;

seededTest(
  "After everything was killed twenty times during writes, each acknowledged write exists once",
  async (random) => {
    if (options.ignore) return;
    await using node = await NodeProcess.start({ full: false });
    const people = await makePeople(node, 4);
    const workload = new WriteWorkload(random, people, people.map(({ page_id: page }) => page), "e");
    const pairs = new PairLog(people);
    for (let round = 0; round < ROUNDS; round++) {
      let stopped = false;
      const wanted = [workload.posts.size + random.whole(10, 60), pairs.stored.size + 5] as const;
      const atWork = [workload.run(8, () => stopped), pairs.run(4, () => stopped)];
      await until("some writes", () => workload.posts.size >= wanted[0] && pairs.stored.size >= wanted[1], {
        everyMs: 1,
      });
      const all = [node.pid, ...(await childrenOf(node.pid)).map(({ pid }) => pid), ...await postgresOf(node.dataDir)];
      killAll(random.chance(0.5) ? all : all.toReversed());
      await node.kill();
      stopped = true;
      await Promise.all(atWork);
      await node.restart();
      await workload.retry();
      await pairs.retry();
    }
    await workload.holdAgainst(node.sql);
    await pairs.holdAgainst(people);
    await assertCountersTrue(node.sql);
    await assertHistoryWhole(node.sql);
    const { posts, likes, follows, accounts } = workload;
    const sizes = { posts: posts.size, likes: likes.size, follows: follows.size, accounts: accounts.size };
    say(`${ROUNDS} kills; acknowledged and stored: ${JSON.stringify({ ...sizes, pairs: pairs.stored.size })}`);
  },
);

Deno.test(
  "A stale or missing process id of a dead server is handled",
  options,
  async () => {
    await using node = await NodeProcess.start({ full: false });
    const [ada] = await makePeople(node, 1) as [Person];
    const posts = new PostLog(ada);
    await posts.write();
    killAll([...await postgresOf(node.dataDir), node.pid]);
    await node.kill();
    await awaitNoServer(node.dataDir);
    const other = new Deno.Command("sleep", { args: ["600"] }).spawn();
    try {
      for (const pid of [String(other.pid), ""]) {
        for (const name of ["postmaster.pid", ".s.PGSQL.5432.lock"]) {
          const path = `${node.dataDir}/postgres/${name}`;
          const mark = await Deno.readTextFile(path);
          await Deno.writeTextFile(path, pid === "" ? "" : mark.replace(/^\d+/, pid));
        }
        await node.restart();
        await posts.write();
        killAll([...await postgresOf(node.dataDir), node.pid]);
        await node.kill();
        await awaitNoServer(node.dataDir);
      }
      await node.restart();
      await posts.holdAgainst(node);
      Deno.kill(other.pid, "SIGTERM");
      assert.equal((await other.status).signal, "SIGTERM", "no other process was ended");
    } finally {
      killAll([other.pid]);
    }
  },
);

/** Posts of one person, each with its own text. */
class PostLog {
  readonly stored = new Map<string, string>();
  readonly refused: Answer[] = [];
  #number = 0;

  constructor(private readonly author: Person) {}

  async write(): Promise<boolean> {
    const text = `post ${++this.#number}`;
    const answer = await this.author.call("POST", `/pages/${this.author.page_id}/posts`, { text });
    if (answer.status === 201) this.stored.set(text, answer.body.id);
    else this.refused.push(answer);
    return answer.status === 201;
  }

  async holdAgainst(node: NodeProcess): Promise<void> {
    const rows = await node.sql.query<{ text: string; id: string }>("select text, id from posts");
    const refused = rows.length - this.stored.size;
    assert.ok(refused >= 0 && refused <= this.refused.length, `${rows.length} posts, ${this.stored.size} acknowledged`);
    assert.equal(new Set(rows.map(({ text }) => text)).size, rows.length, "no post is stored twice");
    const ids = new Map(rows.map(({ text, id }) => [text, id]));
    for (const [text, id] of this.stored) assert.equal(ids.get(text), id, text);
  }
}

/** Pairs of the key–value store, each written once. */
class PairLog {
  /** Key → its owner. */
  readonly stored = new Map<string, Person>();
  #unanswered: (readonly [string, Person])[] = [];
  #number = 0;

  constructor(private readonly people: readonly Person[]) {}

  async run(concurrency: number, stopped: () => boolean): Promise<void> {
    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (!stopped()) {
        const number = ++this.#number;
        const pair = [`key ${number}`, this.people[number % this.people.length]!] as const;
        if (await this.#write(...pair).catch(() => false)) continue;
        this.#unanswered.push(pair);
        await sleep(20);
      }
    }));
  }

  async retry(): Promise<void> {
    for (const pair of this.#unanswered.splice(0)) assert.ok(await this.#write(...pair), pair[0]);
  }

  async holdAgainst(people: readonly Person[]): Promise<void> {
    for (const person of people) {
      const keys = [...this.stored].filter(([, owner]) => owner === person).map(([key]) => key);
      for (let at = 0; at < keys.length; at += 100) {
        const some = keys.slice(at, at + 100);
        const { data } = await person.do("POST", "/kv/read", { keys: some });
        assert.deepEqual(data, Object.fromEntries(some.map((key) => [key, { of: key }])));
      }
    }
  }

  async #write(key: string, person: Person): Promise<boolean> {
    const answer = await person.call("POST", "/kv/write", { data: { [key]: { of: key } } });
    if (answer.status >= 500) assert.equal(answer.status, 503, JSON.stringify(answer.body));
    if (answer.status >= 300) return false;
    this.stored.set(key, person);
    return true;
  }
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
