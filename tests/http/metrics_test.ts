import assert from "node:assert/strict";
import { LEASE_MS } from "../../live/send_lease.ts";
import { sharedApp } from "../support/app.ts";

const app = sharedApp();

/** Every sample by its name with labels. */
async function samples(): Promise<Map<string, number>> {
  const { status, headers, body } = await app.call("GET", "/metrics");
  assert.equal(status, 200);
  assert.match(headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const lines = (body as string).trimEnd().split("\n").filter((line) => !line.startsWith("# "));
  return new Map(lines.map((line) => {
    const [, name, value] = /^rookery_([a-z_]+(?:\{[a-z]+="[\w]+"\})?) (-?[\d.e-]+)$/.exec(line)!;
    return [name!, Number(value)];
  }));
}

Deno.test("The metrics have what an operator needs, and count what happens", async () => {
  const person = await app.person();
  const before = await samples();
  for (
    const name of [
      ...["actor_partitions", 'actor_activations{kind="page"}', "actor_mailbox_wait_seconds_total"],
      ...["actor_commit_seconds_total", "actor_fenced_total", "outbox_events", "live_sockets", "live_resets_total"],
      ...["event_loop_lag_seconds", "bus_connected", "stream_stalled", 'process_memory_bytes{kind="rss"}'],
    ]
  ) assert.ok(before.has(name), name);
  assert.equal(before.get("actor_partitions"), 64);
  await using _listener = await app.listen(person.token);
  await app.post(person);
  const after = await samples();
  const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  assert.equal(grown("live_sockets"), 1);
  assert.equal(grown("actor_commits_total"), 1);
  assert.equal(grown('http_requests_total{status="2xx"}'), 1, "calls of the API count, others do not");
});

Deno.test("The metrics have the remaining lease of a node's sockets", async () => {
  const left = (await samples()).get("live_lease_seconds");
  assert.ok(left! > 0 && left! * 1000 <= LEASE_MS, `${left}`);
});
