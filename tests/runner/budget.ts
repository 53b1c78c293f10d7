/**
 * The budget of a run in processor time, which does not grow while the machine is busy with something else. It is
 * scaled by the time of a fixed computation, so that a slower processor has a larger budget.
 */
import { cpuUsage } from "node:process";
import { isCi } from "./servers.ts";
import { print } from "./output.ts";
import type { setOf } from "./plan.ts";
import { processorMs } from "./processor_time.ts";

type Name = ReturnType<typeof setOf>;

/**
 * Seconds of the reference machine's processors: at least a third more than a run takes there, which varies by a fifth.
 */
const BUDGETS_S: Record<Name, number> = { fast: 60, test: 550, tasks: 400, browser: 250, chaos: 1_000 };
/** Milliseconds that the computation takes on the reference machine, a virtual one of two cores in 2026. */
const REFERENCE_MS = 20;
const EVERY_MS = 5_000;

/** How much slower this machine is than the reference, measured during the run. */
export class Calibration implements Disposable {
  #samples: number[] = [];
  #timer = setInterval(() => this.#sample(), EVERY_MS);

  constructor() {
    // The first ones warm up the compiler.
    for (let i = 0; i < 5; i++) computationMs();
    this.#sample();
  }

  /** Over 1 on a slower machine. The median, since single samples are interrupted. */
  get factor(): number {
    return this.#samples.toSorted((a, b) => a - b)[this.#samples.length >> 1]! / REFERENCE_MS;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    this.#samples.push(computationMs());
  }
}

/** Prints the processor time of the run. Returns whether it is over the budget in CI. For the end of a run. */
export function isOverBudget(set: Name, calibration: Calibration): boolean {
  const usedS = processorMs() / 1_000;
  const allowedS = BUDGETS_S[set] * calibration.factor;
  const isOver = usedS > allowedS;
  print(
    `Processor time: ${usedS.toFixed(0)} s${isOver ? ", over" : " of"} a budget of ${allowedS.toFixed(0)} s ` +
      `(${BUDGETS_S[set]} s, times ${calibration.factor.toFixed(2)} for this machine)`,
  );
  return isOver && isCi();
}

/** Processor time of work like that of a server: objects are created, written as JSON and parsed. */
function computationMs(): number {
  const begin = cpuUsage();
  let seed = 1;
  const rows = Array.from({ length: 2_000 }, (_, id) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return { id, name: `row ${seed}`, tags: [String(seed % 97), String(seed % 89)], seed };
  });
  for (let round = 0; round < 15; round++) {
    const read = JSON.parse(JSON.stringify(rows)) as typeof rows;
    read.sort((a, b) => a.seed - b.seed);
  }
  const { user, system } = cpuUsage(begin);
  return (user + system) / 1_000;
}
