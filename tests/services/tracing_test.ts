/** Spans and ids of a request through two processes: a node without actors, and the node that has them. */
import assert from "node:assert/strict";
import { type CollectedSpan, Collector } from "../support/collector.ts";
import { freshDatabase } from "../support/database.ts";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { until } from "../support/wait.ts";

const NATS_URL = Deno.env.get("TEST_NATS_URL");
const REDIS_URL = Deno.env.get("TEST_REDIS_URL");
const ignore = NATS_URL === undefined || REDIS_URL === undefined;
const PARENT = "00f067aa0ba902b7";

interface Pair extends AsyncDisposable {
  owner: NodeProcess;
  api: NodeProcess;
}

async function startPair(env: (service: string) => Record<string, string>, more = ""): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const services = { DATABASE_URL: await freshDatabase(), REDIS_URL: REDIS_URL!, NATS_URL: NATS_URL! };
  const start = async (service: string, more: Record<string, string>) =>
    stack.use(await NodeProcess.on(await emptyFolder(), { ...services, ...more, ...env(service) }));
  const owner = await start("owner", { ROLES: `api,actors,storage${more}`, WORKERS: "1", CROP_PROCESSES: "1" });
  const api = await start("api", { ROLES: "api", STORAGE_URL: "http://127.0.0.1:1" });
  const started = stack.move();
  return { owner, api, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

function newTraceId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** The spans of a trace below a parent, indented. Of the statements only those of commits, which have a batch size. */
function treeOf(spans: readonly CollectedSpan[], parent = PARENT, depth = 0): string[] {
  return spans.filter(({ parentSpanId }) => parentSpanId === parent).flatMap((span) => {
    const below = treeOf(spans, span.spanId, depth + 1);
    const isRead = span.attributes["db.system.name"] !== undefined && !span.attributes["db.operation.batch.size"];
    return isRead ? below : [`${"  ".repeat(depth)}${span.service}: ${span.name}`, ...below];
  });
}

Deno.test({ name: "A post is one tree of spans over two processes, down to its statement", ignore }, async () => {
  await using collector = new Collector();
  await using pair = await startPair((service) => collector.settings(service));
  const [ann] = await makePeople(pair.owner, 1) as [Person];
  // The first call to the other node may be slow, and a slow one is made again another way, with spans of its own.
  await ann.at(pair.api).post("the first");
  const traceId = newTraceId();
  await ann.at(pair.api).do("POST", `/pages/${ann.page_id}/posts`, { text: "traced" }, {
    traceparent: `00-${traceId}-${PARENT}-01`,
  });
  await until(
    "the spans of both processes",
    () =>
      ["api", "owner"].every((name) => collector.of(traceId).some(({ service }) => service === name)) &&
      treeOf(collector.of(traceId)).length >= 5,
  );
  assert.deepEqual(treeOf(collector.of(traceId)), [
    "api: POST /api/v1/pages/{id}/posts",
    "  api: call page.create_post",
    "    owner: call page.create_post",
    "      owner: turn page.create_post",
    "        owner: post.create",
  ]);
  const statement = collector.of(traceId).find(({ name }) => name === "post.create")!;
  assert.equal(statement.kind, 3);
  assert.equal(statement.attributes["db.operation.batch.size"], "1");
  const refused = newTraceId();
  const answer = await ann.at(pair.api).call("PUT", `/pages/${ann.page_id}/follow`, undefined, {
    traceparent: `00-${refused}-${PARENT}-01`,
  });
  assert.equal(answer.slug, "own-page");
  const call = await until(
    "the refused call",
    () => collector.of(refused).find(({ service, name }) => service === "api" && name === "call page.follow"),
  );
  assert.equal(call.attributes["rookery.problem"], "own-page");
  const texts = JSON.stringify(collector.of(traceId));
  assert.ok(!texts.includes("traced") && !texts.includes(ann.token), "no content and no tokens");
});

Deno.test({ name: "What runs later is not part of the request that caused it", ignore }, async () => {
  await using collector = new Collector();
  await using pair = await startPair((service) => collector.settings(service), ",jobs,mail");
  const [ann, bob] = await makePeople(pair.owner, 2) as [Person, Person];
  const [first, second] = [newTraceId(), newTraceId()];
  const headers = (traceId: string) => ({ traceparent: `00-${traceId}-${PARENT}-01` });
  const post = await ann.do("POST", `/pages/${ann.page_id}/posts`, { text: "one" }, headers(first));
  await bob.do("PUT", `/posts/${post.id}/like`, undefined, headers(second));
  await until("both", () => [first, second].every((traceId) => treeOf(collector.of(traceId)).length >= 4));
  const names = collector.of(first).map(({ name }) => name);
  assert.ok(!names.some((name) => name.includes("like")), names.join(", "));
  // The registrations have sent emails.
  const job = await until("a job's span", () => collector.spans.find(({ name }) => name.startsWith("job ")));
  assert.equal(job.parentSpanId, "");
  await until("its statements", () => collector.spans.some(({ parentSpanId }) => parentSpanId === job.spanId));
});

Deno.test({ name: "Ids of a request are in the log lines of every node, and in the answer", ignore }, async () => {
  await using pair = await startPair(() => ({ ACCESS_LOG: "on", LOG_LEVEL: "info" }));
  const [ann] = await makePeople(pair.owner, 1) as [Person];
  const traceId = newTraceId();
  const answer = await ann.at(pair.api).call("GET", "/users/me?x=%22secret%22", undefined, {
    "x-request-id": "from-a-proxy:1",
    traceparent: `00-${traceId}-${PARENT}-01`,
  });
  assert.equal(answer.headers.get("x-request-id"), "from-a-proxy:1");
  const line = await until(
    "the line",
    () => linesOf(pair.api).find(({ request_id, message }) => message === "request" && request_id === "from-a-proxy:1"),
  );
  assert.deepEqual([line.method, line.path, line.status, line.trace_id], ["GET", "/api/v1/users/me", 422, traceId]);
  assert.equal(typeof line.ms, "number");
  assert.ok(!pair.api.output.includes("secret"));
});

// deno-lint-ignore no-explicit-any -- a line has any fields
function linesOf(node: NodeProcess): any[] {
  return node.output.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}")).map((line) =>
    JSON.parse(line)
  );
}
