/** Every role has `/metrics`: those with HTTP at their port, the others at `METRICS_PORT`. */
import assert from "node:assert/strict";
import { MAIN } from "../../db/migrate.ts";
import { connectPostgres } from "../../db/postgres.ts";
import { freshDatabase } from "../support/database.ts";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";
import { type Family, parseMetrics, valueOf } from "../support/prometheus.ts";
import { freePort } from "../support/servers.ts";
import { until } from "../support/wait.ts";

const TOKEN = "a-token-of-the-operator";
const EVERYWHERE = ["process_cpu_seconds_total", "process_open_fds", "rookery_event_loop_lag_seconds"];
/** `jobs` only stores these addresses until it has work. */
const JOBS = {
  PUBLIC_URL: "http://127.0.0.1:1",
  MAIL_URL: "smtp://127.0.0.1:1",
  STORAGE_URL: "http://127.0.0.1:1",
};

async function start(ROLES: string, env: Record<string, string> = {}): Promise<NodeProcess> {
  const DATABASE_URL = await freshDatabase();
  return await NodeProcess.on(await emptyFolder(), { DATABASE_URL, ROLES, METRICS_TOKEN: TOKEN, ...env });
}

/** The metrics at an address, which need the token. */
async function metricsAt(url: string): Promise<Map<string, Family>> {
  const refused = await fetch(`${url}/metrics`);
  assert.equal(refused.status, 401);
  await refused.body?.cancel();
  // A part that takes long on a busy machine is omitted from that answer.
  return await until("what every role has", async () => {
    const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
    assert.equal(response.status, 200);
    const families = parseMetrics(await response.text());
    return EVERYWHERE.every((name) => valueOf(families, name, labelsOf(name)) !== undefined) && families;
  });
}

async function lagAt(url: string): Promise<number | undefined> {
  return valueOf(await metricsAt(url), "rookery_stats_lag_events");
}

function labelsOf(name: string): Record<string, string> {
  return name.endsWith("lag_seconds") ? { thread: "main" } : {};
}

async function portOf(process: NodeProcess): Promise<string> {
  return await until("the address of the metrics", () => /^Metrics are at (\S+)\/metrics\n/m.exec(process.output)?.[1]);
}

for (const role of ["storage", "stats"]) {
  Deno.test(`The role ${role} has metrics at its port, with the time of its requests`, async () => {
    await using process = await start(role);
    assert.equal((await (await fetch(`${process.url}/healthz`)).json()).status, "ok");
    const families = await metricsAt(process.url);
    const labels = { method: "GET", route: "/healthz", status: "2xx" };
    assert.equal(valueOf(families, "rookery_service_request_duration_seconds_count", labels), 1);
    if (role === "stats") await until("no event waits", async () => await lagAt(process.url) === 0);
  });
}

Deno.test("The role kv has metrics at its port", async () => {
  await using process = await start("kv");
  const families = await metricsAt(process.url);
  assert.equal(valueOf(families, "rookery_http_requests_under_way"), 0);
});

Deno.test("The role jobs has metrics at METRICS_PORT, with the jobs by state", async () => {
  await using process = await start("jobs", { ...JOBS, METRICS_PORT: "0" });
  const url = await portOf(process);
  await until("the jobs by state", async () => valueOf(await metricsAt(url), "rookery_jobs", { state: "dead" }) === 0);
  const statusOf = async (path: string) => {
    const response = await fetch(url + path);
    await response.body?.cancel();
    return response.status;
  };
  // The health check of its container has no token.
  assert.deepEqual([await statusOf("/healthz"), await statusOf("/readyz")], [200, 404]);
});

Deno.test("The role mail has metrics at METRICS_PORT", async () => {
  await using process = await start("mail", { METRICS_PORT: "0", MAIL_PORT: "0" });
  await metricsAt(await portOf(process));
});

Deno.test("A node with METRICS_PORT has its metrics there alone, and logs no token", async () => {
  await using process = await start("api,actors,storage", { METRICS_PORT: "0", LOG_LEVEL: "debug" });
  const families = await metricsAt(await portOf(process));
  assert.equal(valueOf(families, "rookery_actor_partitions"), 64);
  assert.equal((await fetch(`${process.url}/metrics`)).status, 404);
  assert.ok(!process.output.includes(TOKEN));
});

Deno.test("A process that waits for migrations answers at METRICS_PORT, so nothing restarts it", async () => {
  const DATABASE_URL = await freshDatabase();
  await using sql = connectPostgres(DATABASE_URL, { max: 1 });
  await sql.execute("select pg_advisory_lock($1)", [MAIN.lock]);
  const port = await freePort();
  const starting = NodeProcess.on(await emptyFolder(), { DATABASE_URL, ROLES: "kv", METRICS_PORT: String(port) });
  await until("it waits for the lock of the migrations", async () => {
    const waiting = await sql.query(
      `select from pg_locks l join pg_database d on d.oid = l.database
      where d.datname = current_database() and l.locktype = 'advisory' and not l.granted`,
    );
    return waiting.length > 0;
  });
  const { status, body } = await fetch(`http://127.0.0.1:${port}/healthz`);
  await body?.cancel();
  await sql.execute("select pg_advisory_unlock($1)", [MAIN.lock]);
  await using _process = await starting;
  assert.equal(status, 200);
});
