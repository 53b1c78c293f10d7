/** The proxy of `compose.yaml` in front of two nodes: routing, and a node that stops. */
import assert from "node:assert/strict";
import { type BundledProxy, hasHaproxy, startBundledProxy } from "../support/bundled_proxy.ts";
import { freshDatabase } from "../support/database.ts";
import { Listener } from "../support/listener.ts";
import { checkPosts, checkStatuses, underLoad } from "../support/load.ts";
import { NameServer } from "../support/name_server.ts";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { parseMetrics, valueOf } from "../support/prometheus.ts";
import { freePort } from "../support/servers.ts";
import { until } from "../support/wait.ts";

const ignore = !hasHaproxy() || Deno.env.get("TEST_NATS_URL") === undefined;
const [FIRST, SECOND] = ["127.0.0.11", "127.0.0.12"];
/** The address of a proxy in front of the proxy. */
const OUTER = "127.0.7.9";
const SIGN_INS = 20;
const TAKEN_OUT_MS = 3_000;

let names: NameServer;
let proxy: BundledProxy;
let first: NodeProcess;
let second: NodeProcess;
let person: Person;
/** Whose calls are the load. */
let other: Person;
const stack = new AsyncDisposableStack();

Deno.test.beforeAll(async () => {
  if (ignore) return;
  const port = await freePort();
  const stores = {
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: Deno.env.get("TEST_REDIS_URL")!,
    NATS_URL: Deno.env.get("TEST_NATS_URL")!,
    TRUSTED_PROXIES: `127.0.0.1,${OUTER}`,
    RATE_LIMITS: "on",
    PORT: String(port),
    WORKERS: "1",
  };
  const storagePort = String(await freePort());
  const start = async (env: Record<string, string>) =>
    stack.use(await NodeProcess.on(await emptyFolder(), { ...stores, ...env }));
  first = await start({ HOST: FIRST!, ROLES: "api,actors,storage", STORAGE_PORT: storagePort });
  second = await start({ HOST: SECOND!, ROLES: "api,actors", STORAGE_URL: `http://127.0.0.1:${storagePort}` });
  names = stack.use(await NameServer.start());
  names.addresses = [FIRST!];
  proxy = stack.use(await startBundledProxy(names, port));
  [person, other] = await makePeople(proxy, 2, "proxied") as [Person, Person];
});
Deno.test.afterAll(() => stack.disposeAsync());

function proxyTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore, sanitizeOps: false, sanitizeResources: false, fn });
}

async function metricOf({ url }: NodeProcess, name: string, labels: Record<string, string> = {}): Promise<number> {
  return valueOf(parseMetrics(await (await fetch(`${url}/metrics`)).text()), name, labels) ?? 0;
}

/** How many requests each node answered while `work` ran. */
async function answeredDuring(work: () => Promise<unknown>): Promise<[first: number, second: number]> {
  const count = () =>
    Promise.all(
      [first, second].map((node) => metricOf(node, "rookery_http_requests_total", { status: "2xx" }).catch(() => 0)),
    );
  const before = await count();
  await work();
  return (await count()).map((n, i) => n - before[i]!) as [number, number];
}

async function read(times: number): Promise<void> {
  for (let i = 0; i < times; i++) await person.do("GET", "/users/me");
}

/** Until the proxy sends each kind of request to both. */
async function bothServe(): Promise<void> {
  names.addresses = [FIRST!, SECOND!];
  const bothPass = async () => Object.values(await proxy.nodes()).every((count) => count === 2);
  await until("both nodes pass the checks of the proxy", bothPass, { everyMs: 100 });
  const bothAnswer = async () => (await answeredDuring(() => read(4))).every((n) => n > 0);
  await until("both nodes get requests", bothAnswer, { everyMs: 100 });
}

proxyTest("A node that the name server learns of gets its share of requests", async () => {
  assert.deepEqual(await answeredDuring(() => read(10)), [10, 0]);
  await bothServe();
  const shares = await answeredDuring(() => read(40));
  assert.ok(shares.every((n) => n >= 15), `${shares}`);
});

proxyTest("Live sockets pass, and are spread over the nodes", async () => {
  await bothServe();
  const listeners: Listener[] = [];
  for (let i = 0; i < 4; i++) listeners.push(await Listener.open(person));
  assert.deepEqual(await Promise.all([first, second].map((node) => metricOf(node, "rookery_live_sockets"))), [2, 2]);
  const { id } = await person.post("through the proxy");
  for (const listener of listeners) await listener.heard("the post", ({ data }) => data.id === id);
  for (const listener of listeners) listener.cut();
});

/** Signs in with a wrong password; the status. */
async function guess(from: string, i: number, headers: Record<string, string> = {}): Promise<number> {
  using client = Deno.createHttpClient({ localAddress: from });
  const response = await fetch(`${proxy.url}/api/v1/security/login`, {
    client,
    method: "POST",
    headers: { "content-type": "application/json", connection: "close", ...headers },
    body: JSON.stringify({ login: `nobody${i}x${from.replaceAll(".", "x")}`, password: "Wrong-Horse1" }),
  });
  await response.body?.cancel();
  return response.status;
}

proxyTest("Nodes count by the caller's address, which its own headers do not change", async () => {
  const forged: Record<string, string>[] = [
    { "x-forwarded-for": "203.0.113.1" },
    { forwarded: "for=203.0.113.2" },
    { forwarded: "for=127.0.7.3", "x-forwarded-for": "127.0.7.3" },
  ];
  for (let i = 0; i < SIGN_INS; i++) assert.equal(await guess("127.0.7.2", i, forged[i % 3]), 401);
  for (const headers of [{}, ...forged]) assert.equal(await guess("127.0.7.2", SIGN_INS, headers), 429);
  assert.equal(await guess("127.0.7.3", 0), 401);
  // A trusted proxy in front may say who called.
  assert.equal(await guess(OUTER, 0, { "x-forwarded-for": "127.0.7.2" }), 429);
  assert.equal(await guess(OUTER, 0, { "x-forwarded-for": "198.51.100.7" }), 401);
});

proxyTest("While a node shuts down no read and no write fails", async () => {
  await bothServe();
  const seen = await underLoad(other, "leaving", async () => assert.equal((await second.stop()).code, 0));
  checkStatuses(seen, [201]);
  await checkPosts(seen, first.sql);
  assert.equal((await answeredDuring(() => read(6)))[0], 6);
  await second.restart();
  await bothServe();
});

proxyTest("When a node is killed no read fails, and the outcome of a write may be unknown", async () => {
  await bothServe();
  const seen = await underLoad(other, "killed", () => second.kill());
  checkStatuses(seen, [201, 504]);
  await checkPosts(seen, first.sql);
  await second.restart();
  await bothServe();
});

/** How long the proxy takes a node for present that has stopped to answer; it comes back after that. */
async function takenOutAfter(): Promise<number> {
  second.freeze();
  try {
    const start = performance.now();
    await until("the proxy takes the node out", async () => await proxy.takenOut() === 1, { everyMs: 20 });
    const ms = performance.now() - start;
    await read(20);
    // One read that went to the node would take half a minute.
    assert.ok(performance.now() - start - ms < 5_000);
    return ms;
  } finally {
    second.thaw();
    await bothServe();
  }
}

proxyTest("A node that does not answer is taken out within three seconds, and comes back", async () => {
  let shortest = Infinity;
  // A machine that stands still meanwhile only makes it longer.
  for (let i = 0; i < 3 && shortest >= TAKEN_OUT_MS; i++) shortest = Math.min(shortest, await takenOutAfter());
  assert.ok(shortest < TAKEN_OUT_MS, `${Math.round(shortest)} ms`);
});
