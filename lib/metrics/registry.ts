/** Counters and histograms of this thread, kept by `prom-client`. The main thread adds those of the others. */
import type { Counter as CounterOf, Histogram as HistogramOf } from "prom-client";
import { BoundHistogram } from "./bound_histogram.ts";
import { Counter, Histogram, Registry } from "./prom_client.ts";
import { PREFIX, type Samples } from "./samples.ts";

/** Upper bounds of histograms, in seconds: from an answer from memory to the time limit of a call. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 10];

const registry = new Registry();
const bound: BoundHistogram<string>[] = [];

/** Its name ends in `_total`. `collect` is called before each report. */
export function counter<Label extends string = never>(
  name: string,
  help: string,
  labelNames: readonly Label[] = [],
  collect: (this: CounterOf<Label>) => void = () => {},
): CounterOf<Label> {
  return new Counter({ name: PREFIX + name, help, labelNames, registers: [registry], collect });
}

/** Its name ends in its unit, and its labels have few values. */
export function histogram<Label extends string = never>(
  name: string,
  help: string,
  labelNames: readonly Label[] = [],
  buckets: number[] = SECONDS,
): HistogramOf<Label> {
  return new Histogram({ name: PREFIX + name, help, labelNames, buckets, registers: [registry] });
}

/** Of seconds, for what happens at every request: its labels are bound once. */
export function boundHistogram<Label extends string>(name: string, help: string): BoundHistogram<Label> {
  const histogram = new BoundHistogram<Label>(PREFIX + name, help, SECONDS);
  bound.push(histogram);
  return histogram;
}

/** All of this thread. */
export async function threadSamples(): Promise<Samples> {
  const samples = await registry.getMetricsAsJSON() as Samples;
  return [...samples, ...bound.map((histogram) => histogram.sample())];
}

/** Seconds since a time of `performance.now()`. */
export function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
