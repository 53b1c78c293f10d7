/**
 * Three equal nodes under a mixed load and faults: every acknowledged write is there once, every listener receives the
 * posts for it once and in order and nothing else, and nobody waits longer than the fault allows. `CHAOS_WRITES` says
 * how many writes are made at least; in CI each fault has one round.
 */
import assert from "node:assert/strict";
import { print } from "../runner/output.ts";
import { startCluster } from "../support/cluster.ts";
import { Failover } from "../support/failover.ts";
import { FailoverServices } from "../support/failover_services.ts";
import { faults } from "../support/faults.ts";
import { fullSeededTest } from "../support/full.ts";

const isCi = Deno.env.get("CI") === "true";
const WRITES = Number(Deno.env.get("CHAOS_WRITES") ?? (isCi ? 1 : 200_000));
/** CI's processors do other work at times. */
const SLACK = Number(Deno.env.get("CHAOS_SLACK") ?? 1);

fullSeededTest("No fault of a node or a server loses, doubles or reorders a write", async (random) => {
  await using services = await FailoverServices.open();
  await using cluster = await startCluster(3, services.settings);
  await using failover = await Failover.start(cluster, services, random, isCi ? 3 : SLACK);
  using _table = {
    [Symbol.dispose]: () => {
      print(failover.table);
      print(failover.summary);
    },
  };
  do {
    for (const fault of faults({ frozenMs: isCi ? 5_000 : 20_000 })) {
      const { writes, worstGapMs } = await failover.round(fault);
      print(`${fault.name}: ${writes} writes, worst write gap ${worstGapMs} ms`);
    }
    await failover.holdHistory();
  } while (failover.writes < WRITES);
  assert.deepEqual(failover.tooLong, []);
});
