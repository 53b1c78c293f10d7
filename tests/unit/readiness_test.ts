/** `/readyz`: 503 only for what makes a node useless to callers, `degraded` for what it can do without. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { type Config, readConfig } from "../../config.ts";
import type { AppContext } from "../../context.ts";
import { Metrics } from "../../lib/metrics/metrics.ts";
import { systemRoutes } from "../../routes/system.ts";

/** What is out of order. */
interface Faults {
  draining?: boolean;
  sql?: boolean;
  lease?: boolean;
  cache?: boolean;
  bus?: boolean;
  stream?: boolean;
  actors?: boolean;
}

const fails = (isOut = false) => () => isOut ? Promise.reject(new Error("away")) : Promise.resolve([]);

async function readiness(faults: Faults): Promise<[http: number, status: string, degraded: string[] | undefined]> {
  const config: Config = readConfig({});
  const ctx = {
    config,
    metrics: new Metrics(),
    starting: false,
    draining: faults.draining ?? false,
    sql: { query: fails(faults.sql) },
    cache: { get: fails(faults.cache) },
    actors: { reach: fails(faults.actors) },
    gateway: { takes: !faults.lease },
    bus: { connected: !faults.bus },
    stream: { stalled: faults.stream ?? false },
  } as unknown as AppContext;
  const app = new Hono();
  systemRoutes({ app, ctx, stats: { underWay: 0, lastAt: -Infinity } } as Parameters<typeof systemRoutes>[0]);
  const response = await app.request("/readyz");
  assert.equal(response.headers.has("retry-after"), response.status === 503);
  assert.equal((await app.request("/healthz")).status, 200);
  const { status, degraded } = await response.json();
  return [response.status, status, degraded];
}

const CASES: [what: string, faults: Faults, expected: [number, string, string[]?]][] = [
  ["A node with everything", {}, [200, "ready"]],
  ["A node without Redis", { cache: true }, [200, "degraded", ["cache"]]],
  ["A node without NATS", { bus: true }, [200, "degraded", ["bus"]]],
  ["A node with late events, while partitions have no node", { stream: true, actors: true }, [
    200,
    "degraded",
    ["actors", "stream"],
  ]],
  ["A node without its database", { sql: true }, [503, "not-ready"]],
  ["A node without a lease", { lease: true }, [503, "not-ready"]],
  ["A node without a lease and without Redis", { lease: true, cache: true }, [503, "not-ready"]],
  ["A node that stops", { draining: true }, [503, "draining"]],
];
for (const [what, faults, [http, status, degraded]] of CASES) {
  Deno.test(`${what} is ${status}: ${http}`, async () => {
    assert.deepEqual(await readiness(faults), [http, status, degraded]);
  });
}
