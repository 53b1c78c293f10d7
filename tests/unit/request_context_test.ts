/** The ids of a request: which are accepted, where they go, and where they must not. */
import assert from "node:assert/strict";
import { partitionOf } from "../../db/partitions.ts";
import type { Bus } from "../../lib/bus/bus.ts";
import { serveHttp } from "../../lib/http/server.ts";
import { Log } from "../../lib/log.ts";
import { Poller } from "../../lib/poller.ts";
import {
  currentRequest,
  currentRequestId,
  receivedContext,
  type RequestContext,
  withRequest,
} from "../../lib/request_context.ts";
import { apart, outgoingHeaders } from "../../lib/tracing.ts";
import { sleep } from "../../lib/sleep.ts";
import { StatsClient } from "../../services/stats/client.ts";
import { openStorage } from "../../services/storage/open.ts";
import { type CountCommand, started } from "../support/counter_actor.ts";
import { FakePool, type FakeThread } from "../support/fake_threads.ts";
import { NodeWorld, REF } from "../support/node_world.ts";
import { until } from "../support/wait.ts";

type Call = Parameters<Bus["request"]>;

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const REQUEST: RequestContext = { id: "r-1", traceparent: TRACEPARENT };
const quiet = new Log("error");

Deno.test("A caller's X-Request-Id is kept if it is short and plain, otherwise replaced", () => {
  for (const id of ["a", "01HV-x_y.z:1/2@3+4=", "x".repeat(128)]) {
    assert.equal(receivedContext(new Headers({ "x-request-id": id })).id, id);
  }
  const made = ["", "x".repeat(129), "two words", 'a"b', "a,b", "ж"].map((id) => {
    const headers = { get: (name: string) => name === "x-request-id" ? id : null } as unknown as Headers;
    return receivedContext(headers).id;
  });
  for (const id of made) assert.match(id, /^[0-9a-f]{8}-[0-9a-z]+$/);
  assert.equal(new Set(made).size, made.length);
});

Deno.test("A caller's traceparent is kept if it is valid, otherwise ignored", () => {
  const [version, trace, span, flags] = TRACEPARENT.split("-") as [string, string, string, string];
  const kept = (traceparent: string) => receivedContext(new Headers({ traceparent })).traceparent;
  for (const valid of [TRACEPARENT, `cc-${trace}-${span}-${flags}`, `01-${trace}-${span}-${flags}-more`]) {
    assert.equal(kept(valid), valid);
  }
  for (
    const invalid of [
      ...["", "x", TRACEPARENT.slice(0, -1), TRACEPARENT.toUpperCase(), `ff-${trace}-${span}-${flags}`],
      ...[`${version}-${"0".repeat(32)}-${span}-${flags}`, `${version}-${trace}-${"0".repeat(16)}-${flags}`],
      ...[`${TRACEPARENT}x`, `01-${trace}-${span}-${flags}-${"x".repeat(300)}`],
    ]
  ) assert.equal(kept(invalid), undefined, invalid);
});

Deno.test("A server runs each request with the ids of its caller, and answers to others with its own", async () => {
  const seen: (RequestContext | undefined)[] = [];
  using server = serveHttp({ hostname: "127.0.0.1", port: 0, log: quiet }, async () => {
    await sleep(5);
    seen.push(currentRequest());
    return new Response();
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  await Promise.all([
    fetch(url, { headers: { "x-request-id": "r-1", traceparent: TRACEPARENT } }),
    fetch(url),
  ].map(async (answer) => await (await answer).body?.cancel()));
  await server.shutdown();
  assert.deepEqual(seen.find((context) => context?.id === "r-1"), REQUEST);
  assert.equal(seen.filter((context) => context?.traceparent === undefined).length, 1);
  assert.equal(currentRequest(), undefined);
});

Deno.test("Requests to other services carry the ids on", () => {
  assert.deepEqual(outgoingHeaders(), {});
  assert.deepEqual(withRequest(REQUEST, outgoingHeaders), { "x-request-id": "r-1", traceparent: TRACEPARENT });
  assert.equal(withRequest(REQUEST, currentRequestId), "r-1");
});

Deno.test("The statistics and the storage get the ids of the request that asks them", async () => {
  const seen: (string | null)[][] = [];
  using server = serveHttp({ hostname: "127.0.0.1", port: 0, log: quiet }, ({ headers }) => {
    seen.push([headers.get("x-request-id"), headers.get("traceparent")]);
    return Response.json({}, { status: 404 });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  using stats = new StatsClient(() => Promise.resolve(url));
  const storage = openStorage({ kind: "rest", url, token: "t" });
  await withRequest(REQUEST, async () => {
    await stats.pageStats(REF.id, { from: "2026-01-01", to: "2026-01-01" }, "Bearer x").catch(() => {});
    assert.equal(await storage.head("a"), undefined);
  });
  await storage[Symbol.asyncDispose]();
  await server.shutdown();
  assert.deepEqual(seen, [["r-1", TRACEPARENT], ["r-1", TRACEPARENT]]);
});

Deno.test("A call to another node carries the ids in its message", async () => {
  const seen: (RequestContext | undefined)[] = [];
  // As over NATS: the other node knows of the request what the message says.
  await using world = new NodeWorld(
    () => Promise.resolve(void seen.push(currentRequest())),
    (bus) => Object.assign(Object.create(bus), { request: (...call: Call) => apart(() => bus.request(...call)) }),
  );
  await world.serve();
  await withRequest(REQUEST, () => world.ask());
  await world.ask();
  assert.deepEqual(seen, [REQUEST, undefined]);
});

Deno.test("A message to a thread carries the ids, and a failure in the thread is logged with them", async () => {
  const logged: (RequestContext | undefined)[] = [];
  const log = new class extends Log {
    override error() {
      logged.push(currentRequest());
    }
  }("error");
  await using world = await FakePool.start(1, log);
  world.pool.grant([{ partition: partitionOf(REF.id), epoch: 1 }]);
  const asked = withRequest(REQUEST, () => world.pool.ask(REF, { type: "x" }));
  const [thread] = world.threads as [FakeThread];
  const message = await until("the message", () => thread.calls[0]);
  assert.deepEqual(message.origin, REQUEST);
  thread.say(
    { type: "fault", ref: REF, error: "broken", origin: message.origin! },
    { type: "reply", call: message.call, reply: { ok: true, value: 1 } },
  );
  assert.equal(await asked, 1);
  assert.deepEqual(logged, [REQUEST]);
});

Deno.test("A failed turn reports the request whose command it was", async () => {
  const { host, sql, effects } = started();
  sql.error = new Error("broken");
  const add: CountCommand = { type: "add", n: 1 };
  await new Promise((answer) =>
    host.ask(REF, { command: add, deadline: Infinity, arrived: 0, origin: REQUEST, answer })
  );
  assert.deepEqual(effects.origins, [REQUEST]);
});

Deno.test("Work that a request only wakes is not logged as its own", async () => {
  const seen: (RequestContext | undefined)[] = [];
  await using poller = new Poller({
    everyMs: 60_000,
    step: async () => {
      seen.push(currentRequest());
      return false;
    },
    onFailure: () => {},
  });
  await until("the first step", () => seen.length === 1);
  withRequest(REQUEST, () => poller.wake());
  await until("the second", () => seen.length === 2);
  assert.deepEqual(seen, [undefined, undefined]);
});
