/** Leases, routing, hand-over and the stream of events in simulated histories (`tests/simulation/history.ts`). */
import { print } from "../runner/output.ts";
import { runHistory } from "../simulation/history.ts";

/** Seeds of histories in which a mistake of the runtime, made on purpose or not, broke what must hold. */
const TELLING_SEEDS = [1, 2, 4, 5, 6, 10, 13, 29, 209, 2093];
const HISTORIES = Number(Deno.env.get("SIMULATED_HISTORIES") ?? 40);

Deno.test("In histories that once failed, nothing is lost, doubled, out of date or left without a node", async () => {
  for (const seed of TELLING_SEEDS) await simulate(seed);
});

Deno.test("In random histories of faults, nothing is lost, doubled, out of date or left without a node", async () => {
  const first = Number(Deno.env.get("TEST_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const begun = performance.now();
  const sum = { events: 0, acknowledged: 0, reads: 0, takeovers: 0 };
  for (let seed = first; seed < first + HISTORIES; seed++) {
    const result = await simulate(seed);
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += result[key];
  }
  const perMinute = Math.round(HISTORIES / (performance.now() - begun) * 60_000);
  print(`${HISTORIES} histories, ${perMinute} a minute: ${JSON.stringify(sum)}`);
});

async function simulate(seed: number) {
  try {
    return await runHistory(seed);
  } catch (error) {
    const reason = error instanceof Error ? error.stack ?? error.message : String(error);
    throw new Error(`With TEST_SEED=${seed} SIMULATED_HISTORIES=1: ${reason}`, { cause: error });
  }
}
