import { within } from "../sleep.ts";
import { lagSample, LoopLag } from "./loop_lag.ts";
import { processSamples } from "./process_metrics.ts";
import { AggregatorRegistry } from "./prom_client.ts";
import { threadSamples } from "./registry.ts";
import type { Samples } from "./samples.ts";

/** A source that takes longer is left out (`docs/limits.md`). */
const SOURCE_MS = 1_000;

/** The metrics of one process. Each role adds its own. */
export class Metrics {
  readonly #lag = new LoopLag();
  readonly #sources: (() => Promise<readonly Samples[]>)[] = [];

  /** Called at every report. If it fails or takes too long, its metrics are missing. */
  add(source: () => Promise<readonly Samples[]>): void {
    this.#sources.push(source);
  }

  /** The Prometheus text format. Values of one metric and labels from several sources are added. */
  async text(): Promise<string> {
    const added = await Promise.all(this.#sources.map((read) => within(SOURCE_MS, read().catch(() => undefined))));
    const own = [await threadSamples(), processSamples(), [lagSample("main", this.#lag.take())]];
    return await AggregatorRegistry.aggregate([...own, ...added.flatMap((samples) => samples ?? [])]).metrics();
  }
}
