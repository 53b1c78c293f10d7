import type { Sample } from "./samples.ts";

/** The observations of one combination of labels. A caller that observes often keeps it. */
export class Observations {
  /** By the first bound that is not exceeded; the last is for values over all bounds. */
  readonly counts: number[];
  sum = 0;

  constructor(readonly labels: Record<string, string>, private readonly bounds: readonly number[]) {
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  observe(value: number): void {
    let i = 0;
    while (i < this.bounds.length && value > this.bounds[i]!) i++;
    this.counts[i]!++;
    this.sum += value;
  }
}

/**
 * A histogram for what happens at every request: its labels are bound once. The histogram of `prom-client` finds its
 * values by a text of all labels at each observation, which costs ten times as much.
 */
export class BoundHistogram<Label extends string> {
  readonly #all: Observations[] = [];

  constructor(readonly name: string, readonly help: string, readonly bounds: readonly number[]) {}

  /** Called once for each combination. */
  bind(labels: Record<Label, string>): Observations {
    const observations = new Observations(labels, this.bounds);
    this.#all.push(observations);
    return observations;
  }

  get all(): readonly Observations[] {
    return this.#all;
  }

  /** In the form of `prom-client`: cumulative buckets, sum and count. */
  sample(): Sample {
    const { name, help, bounds } = this;
    const values = this.#all.flatMap(({ labels, counts, sum, count }) => {
      let below = 0;
      const buckets = counts.map((n, i) => ({
        labels: { le: bounds[i] ?? "+Inf", ...labels },
        value: below += n,
        metricName: `${name}_bucket`,
      }));
      return [
        ...buckets,
        { labels, value: sum, metricName: `${name}_sum` },
        { labels, value: count, metricName: `${name}_count` },
      ];
    });
    return { name, help, type: "histogram" as unknown as Sample["type"], aggregator: "sum", values };
  }
}
