import assert from "node:assert/strict";
import { LEASE_MS } from "../../actors/runtime/node_lease.ts";
import { sharedApp, startApp } from "../support/app.ts";
import { type Family, parseMetrics, valueOf } from "../support/prometheus.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();
const TOKEN = "a-token-of-the-operator";

async function metrics(): Promise<Map<string, Family>> {
  const { status, headers, body } = await app.call("GET", "/metrics");
  assert.equal(status, 200);
  assert.match(headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  return parseMetrics(body as string);
}

Deno.test("The metrics count requests, events and commits", async () => {
  const person = await app.person();
  await until("the sockets of earlier tests are gone", () => app.ctx.gateway.sockets === 0);
  const before = await metrics();
  for (
    const name of [
      ...["actor_partitions", "actor_activations", "actor_mailbox_wait_seconds_total", "actor_commit_seconds_total"],
      ...["actor_fenced_total", "outbox_events", "live_sockets", "live_resets_total", "event_loop_lag_seconds"],
      ...["bus_connected", "stream_stalled", "jobs", "sql_connection_wait_seconds", "sql_retries_total"],
      ...["actor_turn_duration_seconds", "actor_commit_duration_seconds", "node_call_duration_seconds"],
      ...["job_duration_seconds", "problems_total", "http_request_duration_seconds"],
    ]
  ) assert.ok(before.has(`rookery_${name}`), name);
  assert.equal(valueOf(before, "rookery_actor_partitions"), 64);
  await using _listener = await app.listen(person.token);
  await app.post(person);
  const after = await metrics();
  const grown = (name: string, labels: Record<string, string> = {}) =>
    (valueOf(after, `rookery_${name}`, labels) ?? 0) - (valueOf(before, `rookery_${name}`, labels) ?? 0);
  assert.equal(grown("live_sockets"), 1);
  // An earlier test may still cause commits; the post's is counted exactly below.
  assert.ok(grown("actor_commits_total") >= 1);
  assert.equal(grown("http_requests_total", { status: "2xx" }), 1, "only calls of the API count");
  const route = { method: "POST", route: "/api/v1/pages/{id}/posts", status: "2xx" };
  assert.equal(grown("http_request_duration_seconds_count", route), 1, "by the pattern of the route");
  assert.ok(grown("http_request_duration_seconds_sum", route) > 0);
  assert.equal(grown("actor_commit_duration_seconds_count", { statement: "post.create" }), 1, "counted in a thread");
  assert.ok(grown("actor_turn_duration_seconds_count", { kind: "page" }) >= 1);
});

Deno.test("The metrics of a process have their standard names", async () => {
  const found = await metrics();
  for (
    const [name, least] of [
      ["process_cpu_seconds_total", 0.1],
      ["process_cpu_user_seconds_total", 0.01],
      ["process_resident_memory_bytes", 10e6],
      ["process_virtual_memory_bytes", 10e6],
      ["process_open_fds", 5],
      ["process_max_fds", 100],
      ["nodejs_heap_size_used_bytes", 1e6],
    ] as const
  ) assert.ok(valueOf(found, name)! > least, name);
  const start = valueOf(found, "process_start_time_seconds")! * 1000;
  assert.ok(start < Date.now() && start > Date.now() - 3_600_000, `${start}`);
});

Deno.test("Every thread reports the lag of its event loop", async () => {
  const { samples } = (await metrics()).get("rookery_event_loop_lag_seconds")!;
  assert.deepEqual(samples.map(({ labels }) => labels.thread).sort(), ["actors-0", "actors-1", "main"]);
});

Deno.test("Problems are counted by their slug", async () => {
  const labels = { code: "token-missing" };
  const before = valueOf(await metrics(), "rookery_problems_total", labels) ?? 0;
  await app.refused("token-missing", "GET", "/users/me");
  assert.equal(valueOf(await metrics(), "rookery_problems_total", labels), before + 1);
});

Deno.test("The metrics have the remaining lease of a node's sockets", async () => {
  const left = valueOf(await metrics(), "rookery_live_lease_seconds");
  assert.ok(left! > 0 && left! * 1000 <= LEASE_MS, `${left}`);
});

Deno.test("With METRICS_TOKEN the metrics need it, and with METRICS_PORT the API's port has none", async () => {
  {
    await using guarded = await startApp({ METRICS_TOKEN: TOKEN });
    for (const authorization of [undefined, `Bearer ${TOKEN} `, `bearer ${TOKEN.toUpperCase()}`, `Basic ${TOKEN}`]) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const refused = await guarded.call("GET", "/metrics", { headers });
      assert.equal(refused.status, authorization?.trim() === `Bearer ${TOKEN}` ? 200 : 401, `${authorization}`);
      if (refused.status === 401) assert.equal(refused.headers.get("www-authenticate"), "Bearer");
    }
  }
  await using moved = await startApp({ METRICS_PORT: "0" });
  assert.equal((await moved.call("GET", "/metrics")).status, 404);
});
