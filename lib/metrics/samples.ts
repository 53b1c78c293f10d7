import type { MetricObjectWithValues, MetricValue } from "prom-client";

/** Metrics with their values, as they go from thread to thread. */
export type Samples = Omit<MetricObjectWithValues<MetricValue<string>>, "collect">[];
export type Sample = Samples[number];

/** Of all names but those that every Prometheus client has. */
export const PREFIX = "rookery_";

type Value = number | readonly (readonly [labels: Record<string, string>, value: number])[];

/** A value that is read at each report; with labels, one value for each. */
export function sampled(type: "gauge" | "counter", name: string, help: string, value: Value): Sample {
  return standard(type, PREFIX + name, help, value);
}

/** The same for a metric that every Prometheus client has. */
export function standard(type: "gauge" | "counter", name: string, help: string, value: Value): Sample {
  const values = typeof value === "number" ? [[{}, value] as const] : value;
  return {
    name,
    help,
    type: type as unknown as Sample["type"],
    aggregator: "sum",
    values: values.map(([labels, value]) => ({ labels, value })),
  };
}

/** Pairs for `sampled` from an object of one label. */
export function byLabel(label: string, values: Record<string, number>): [Record<string, string>, number][] {
  return Object.entries(values).map(([name, value]) => [{ [label]: name }, value]);
}
