import assert from "node:assert/strict";
import { PARTITIONS } from "../../db/partitions.ts";
import type { Json } from "../support/api.ts";
import { startApp } from "../support/app.ts";

Deno.test("Administrators see every node with its share of the partitions, also one whose lease is over", async () => {
  await using app = await startApp();
  const { token } = await app.admin();
  const [other, late] = [crypto.randomUUID(), crypto.randomUUID()];
  await app.ctx.sql.execute(
    `insert into nodes (id, url, actors, started_at, lease_until, told) values
      ($1, 'http://10.0.0.2:8000', false, now() + interval '1 s', now() + interval '1 minute', 0),
      ($2, null, true, now() + interval '2 s', now() - interval '1 minute', 0)`,
    [other, late],
  );
  await app.ctx.sql.execute("update partitions set node = $1 where id in (3, 5)", [late]);
  const { items }: Json = await app.ok("GET", "/nodes", { token });
  assert.deepEqual(items.map(({ id }: Json) => id), [app.ctx.nodeId, other, late], "oldest first");
  const [here, idle, gone] = items as [Json, Json, Json];
  assert.deepEqual(
    [here.live, here.actors, here.is_this_node, here.url],
    [true, true, true, `http://127.0.0.1:${new URL(app.url).port}`],
  );
  assert.ok(here.lease_ms > 0 && here.lease_ms <= 2_500, `${here.lease_ms}`);
  assert.ok(Math.abs(Date.parse(here.started_at) - Date.now()) < 600_000, here.started_at);
  assert.deepEqual(
    [idle.url, idle.live, idle.actors, idle.partitions, idle.is_this_node],
    ["http://10.0.0.2:8000", true, false, 0, false],
  );
  assert.ok(idle.lease_ms > 50_000 && idle.lease_ms <= 60_000, `${idle.lease_ms}`);
  assert.deepEqual([gone.url, gone.live, gone.lease_ms, gone.is_this_node], [null, false, 0, false]);
  // Until the node takes those two back.
  assert.ok([0, 2].includes(gone.partitions) && here.partitions + gone.partitions === PARTITIONS);
});
