/** Nodes without actors while the node with the actors or NATS is unavailable. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { type Answer, call, type Node } from "../support/api.ts";
import { fullSeededTest } from "../support/full.ts";
import { startInstallation } from "../support/installation.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { Listener } from "../support/listener.ts";
import { assertCountersTrue, assertHistoryWhole, WriteWorkload } from "../support/write_workload.ts";
import { until } from "../support/wait.ts";

const slugOf = ({ body }: Answer): string => body.type.split(/[/#]/).at(-1);

/** A call waits this long for an owner of its partition, after the lease of the former one (`docs/limits.md`). */
const OWNER_WAIT_MS = 5_000;

interface Readiness {
  http: number;
  status: string;
  degraded: string[] | undefined;
}

async function readiness(node: Node): Promise<Readiness> {
  const response = await fetch(`${node.url}/readyz`);
  const { status, degraded } = await response.json();
  return { http: response.status, status, degraded };
}

const READY: Readiness = { http: 200, status: "ready", degraded: undefined };

/** The only node with actors was killed and has no successor. */
async function assertUnavailable(person: Person): Promise<void> {
  const post = () => person.call("POST", `/pages/${person.page_id}/posts`, { text: "nobody is there" });
  const start = performance.now();
  let refused = await post();
  // While the dead node had a lease, it may have received the call.
  if (refused.status === 504) {
    assert.equal(slugOf(refused), "outcome-unknown");
    assert.ok(performance.now() - start < OWNER_WAIT_MS, "the outcome is unknown as soon as the lease is over");
    refused = await post();
  }
  assert.deepEqual([refused.status, slugOf(refused)], [503, "actors-unavailable"]);
  assert.ok(Number(refused.headers.get("retry-after")) > 0, "a rejection has Retry-After");
  const took = performance.now() - start;
  assert.ok(took > OWNER_WAIT_MS - 500 && took < OWNER_WAIT_MS + 5_000, `it took ${Math.round(took)} ms`);
  assert.deepEqual(await readiness(person.node), { http: 200, status: "degraded", degraded: ["actors"] });
  // Calls that need no actor still work.
  assert.equal((await person.call("GET", `/pages/${person.page_id}/posts`)).status, 200);
}

fullSeededTest(
  "Without the actors' node writes are rejected or unknown, and happen once after its restart",
  async (random) => {
    await using installation = await startInstallation();
    const { owner, a, b } = installation;
    const people = (await makePeople(a, 4)).map((person, i) => person.at(i % 2 === 0 ? a : b));
    const [first] = people as [Person];
    const listener = await Listener.open(first.at(b));
    const workload = new WriteWorkload(random, people, people.map(({ page_id: page }) => page), "o");
    let stopped = false;
    const atWork = workload.run(8, () => stopped);
    const grown = async (posts: number) => {
      const wanted = workload.posts.size + posts;
      await until("the workload continues", () => workload.posts.size >= wanted);
    };
    await grown(40);
    await owner.kill();
    await assertUnavailable(first);
    await owner.restart();
    await grown(40);
    // During a clean stop callers wait for the next owner instead.
    assert.equal((await owner.stop()).code, 0, owner.output);
    await owner.restart();
    await grown(40);
    stopped = true;
    await atWork;
    await workload.retry();
    await workload.holdAgainst(owner.sql);
    await assertCountersTrue(owner.sql);
    await assertHistoryWhole(owner.sql);
    await until("the node is ready", async () => isDeepStrictEqual(await readiness(a), READY));
    assert.ok(listener.connected, "a listener of another node stays connected");
    const last = await first.post("did you hear it all?");
    await listener.heard("the last post", ({ data }) => data.id === last.id);
    listener.cut();
  },
);

fullSeededTest(
  "A call that was received but not answered is unknown, was sent once, and is safe to repeat",
  async () => {
    await using installation = await startInstallation();
    const { owner, a } = installation;
    const [ada] = await makePeople(a, 1) as [Person];
    const post = () =>
      call(a, "POST", `/pages/${ada.page_id}/posts`, {
        token: ada.token,
        body: { text: "once" },
        headers: { "idempotency-key": "one" },
      });
    owner.freeze();
    const unknown = await post();
    assert.deepEqual([unknown.status, slugOf(unknown)], [504, "outcome-unknown"]);
    owner.thaw();
    const done = await until("the job is done", async () => {
      const answer = await post();
      return answer.status === 201 && answer;
    });
    const posts = await owner.sql.query<{ id: string }>("select id from posts");
    assert.deepEqual(posts, [{ id: done.body.id }]);
  },
);

fullSeededTest(
  "Without NATS writes go to the actors' node over HTTP, listeners read from Postgres, and blocks hold",
  async () => {
    await using installation = await startInstallation();
    const { owner, a, b, nats } = installation;
    const admin = await administrator(owner);
    const [ann, bob, carl] = await makePeople(owner, 3) as [Person, Person, Person];
    for (const followed of [ann, carl]) await bob.do("PUT", `/pages/${followed.page_id}/follow`);
    const listener = await Listener.open(bob.at(b));
    const ofCarl = await Listener.open(carl.at(b));
    await nats.kill();
    const post = await ann.post("read from the ledger");
    await listener.heard("a post without NATS", ({ data }) => data.id === post.id);
    const other = await ann.at(a).post("written over HTTP");
    await listener.heard("a post through a node without actors", ({ data }) => data.id === other.id);
    const degraded: Readiness = { http: 200, status: "degraded", degraded: ["bus"] };
    await until("the node knows it", async () => isDeepStrictEqual(await readiness(a), degraded));

    await admin.do("POST", `/pages/${ann.page_id}/block`, { reason: "a test", until: null });
    const mark = await carl.post("after the answer");
    await listener.heard("the mark", ({ data }) => data.id === mark.id);
    const received = listener.events.filter(({ type }) => type === "post.created" || type === "page.hidden");
    assert.deepEqual(received.map(({ type, data }) => data.text ?? type), [
      "read from the ledger",
      "written over HTTP",
      "page.hidden",
      "after the answer",
    ]);
    await admin.do("POST", `/users/${carl.id}/block`, { reason: "a test" });
    await until("the message about it", () => !ofCarl.connected, { timeoutMs: 2_500 });
    assert.equal(ofCarl.closed?.code, 4403);
    assert.equal((await carl.at(a).call("GET", "/users/me/requests")).status, 403);
    // The other nodes get no message and read Postgres themselves.
    await bob.signIn();
    await until("the socket of the former session is closed", () => !listener.connected, { timeoutMs: 8_000 });
    assert.equal(listener.closed?.code, 4401);

    await nats.restart();
    await until("NATS is used again", async () => (await readiness(a)).status === "ready");
    await bob.at(a).post("after the outage");
  },
);
