import assert from "node:assert/strict";
import { CLOSE, Connection } from "../../live/connection.ts";
import { LEASE_MS, MARGIN_MS, NodeLease, RENEW_MS } from "../../actors/runtime/node_lease.ts";
import type { Sql } from "../../db/sql.ts";
import { Log } from "../../lib/log.ts";
import type { EventStream } from "../../live/event_stream.ts";
import type { Gateway } from "../../live/gateway.ts";
import { Membership } from "../../live/membership.ts";
import { FakeSocket } from "../support/fake_socket.ts";

/** When a lease was requested and granted by the node's clock, and whether it holds. */
const TABLE: [what: string, asked: number[], now: number, holds: boolean][] = [
  ["never granted", [], 0, false],
  ["just granted", [1_000], 1_000, true],
  ["a moment before its end", [1_000], 1_000 + LEASE_MS - MARGIN_MS - 1, true],
  ["at its end, a margin before the database's", [1_000], 1_000 + LEASE_MS - MARGIN_MS, false],
  ["renewed", [1_000, 2_000], 2_000 + LEASE_MS - MARGIN_MS - 1, true],
  ["granted after its end", [1_000], 60_000, false],
  ["an older answer after a newer one", [2_000, 1_000], 2_000 + LEASE_MS - MARGIN_MS - 1, true],
];

for (const [what, asked, now, holds] of TABLE) {
  Deno.test(`A lease ${holds ? "holds" : "does not hold"}: ${what}`, () => {
    const lease = new NodeLease(() => now, () => now);
    for (const at of asked) lease.granted(at, at);
    assert.equal(lease.holds, holds);
    assert.equal(lease.leftMs > 0, holds);
    assert.ok(lease.leftMs <= LEASE_MS - MARGIN_MS);
  });
}

Deno.test("A lease ends while the machine is suspended, though the monotonic clock stands still", () => {
  let wall = 5_000;
  const lease = new NodeLease(() => 100, () => wall);
  lease.granted(100, wall);
  assert.ok(lease.holds);
  wall += LEASE_MS;
  assert.equal(lease.holds, false);
});

Deno.test("A node that leaves has no lease when its row is deleted", async () => {
  const lease = new NodeLease();
  let held: boolean | undefined;
  const query = (_text: string, _params?: readonly unknown[], name?: string) => {
    if (name === "node.leave") held = lease.holds;
    return Promise.resolve([{ mark: 1, nodes: [], owners: [], now_ms: 0 }]);
  };
  const parts = { id: "node", url: () => null, actors: () => true, lease, log: new Log("error") };
  const membership = await Membership.join({
    ...parts,
    sql: { query, execute: query } as unknown as Sql,
    stream: { foreign: () => Promise.resolve(), catchUp: () => Promise.resolve(true) } as unknown as EventStream,
    gateway: { closeAll: () => {} } as unknown as Gateway,
    onLapse: () => {},
    onForeign: () => {},
    onDirectory: () => {},
  });
  assert.ok(lease.holds);
  await membership[Symbol.asyncDispose]();
  assert.equal(held, false);
});

Deno.test("A lease outlasts several failed renewals", () => {
  assert.ok(LEASE_MS - MARGIN_MS > 3 * RENEW_MS);
});

Deno.test("After the lease no frame is sent, and the listener is asked to reconnect", () => {
  const [socket, lease] = [new FakeSocket(), { holds: true }];
  const connection = new Connection(socket, "user", "session", false, lease);
  connection.send("one");
  lease.holds = false;
  connection.send("two");
  lease.holds = true;
  connection.send("three");
  assert.deepEqual([socket.sent, socket.closedWith], [["one"], CLOSE.restarting]);
});

Deno.test("A frame held by the throttle is not sent after the lease either", () => {
  const [socket, lease] = [new FakeSocket(), { holds: true }];
  let now = 0;
  let wake = () => {};
  const clock = {
    now: () => now,
    after: (_: number, run: () => void) => {
      wake = run;
      return () => {};
    },
  };
  const connection = new Connection(socket, "user", "session", false, lease, clock);
  connection.send("likes", "a");
  connection.send("more likes", "a");
  connection.send("a post behind them");
  lease.holds = false;
  now = 1_000;
  wake();
  assert.deepEqual([socket.sent, socket.closedWith], [["likes"], CLOSE.restarting]);
});
