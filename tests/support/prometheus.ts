/** A strict reader of the Prometheus text format, version 0.0.4. */
import assert from "node:assert/strict";

export interface Family {
  type: string;
  help: string;
  samples: Sample[];
}

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const SUFFIXES: Record<string, readonly string[]> = {
  histogram: ["_bucket", "_sum", "_count"],
  counter: [""],
  gauge: [""],
};
const UNITS = /_(?:seconds|bytes|ratio)(?:_total)?$/;

/** Throws for text that is malformed, and for families against the conventions of Prometheus. */
export function parseMetrics(text: string): Map<string, Family> {
  assert.ok(text.endsWith("\n"), "the last line ends");
  const families = new Map<string, Family>();
  let current: [name: string, family: Family] | undefined;
  let help: [name: string, text: string] | undefined;
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const [, kind, name, rest] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      help = [name!, rest!];
    } else if (kind === "TYPE") {
      assert.equal(help?.[0], name, `HELP comes before TYPE: ${line}`);
      assert.ok(rest! in SUFFIXES, `unknown type: ${line}`);
      assert.ok(!families.has(name!), `twice: ${name}`);
      current = [name!, { type: rest!, help: help![1], samples: [] }];
      families.set(...current);
    } else {
      assert.ok(current, `a sample without a family: ${line}`);
      const sample = sampleOf(line);
      const [name, { type, samples }] = current;
      assert.ok(SUFFIXES[type]!.some((suffix) => name + suffix === sample.name), `not of ${name}: ${line}`);
      samples.push(sample);
    }
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

/** One value, by its name and exactly these labels. */
export function valueOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const key = keyOf({ name, labels, value: 0 });
  return [...families.values()].flatMap(({ samples }) => samples).find((sample) => keyOf(sample) === key)?.value;
}

function sampleOf(line: string): Sample {
  const [, name, inner = "", number] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  assert.ok(name, `malformed: ${line}`);
  const value = number === "+Inf" ? Infinity : Number(number);
  assert.ok(!Number.isNaN(value), `no number: ${line}`);
  const labels: Record<string, string> = {};
  const pairs = inner.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/gy);
  let length = 0;
  for (const [pair, label, text] of pairs) {
    length += pair.length;
    assert.ok(!(label! in labels), `a label twice: ${line}`);
    labels[label!] = text!;
  }
  assert.equal(length, inner.length, `malformed labels: ${line}`);
  return { name, labels, value };
}

function keyOf({ name, labels }: Sample): string {
  return JSON.stringify([name, Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1)]);
}

function checkFamily(name: string, { type, help, samples }: Family): void {
  assert.ok(help.length > 5, `${name} needs an explanation`);
  assert.equal(name.endsWith("_total"), type === "counter", `${name} is a ${type}`);
  assert.doesNotMatch(name, /_(?:ms|milliseconds|kb|mb|minutes)(?:_|$)/, "base units only");
  assert.equal(new Set(samples.map(keyOf)).size, samples.length, `${name} has a sample twice`);
  if (type !== "histogram") return;
  assert.match(name, UNITS);
  const series = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  for (const [labels, own] of series) {
    const buckets = own.filter(({ name }) => name.endsWith("_bucket"));
    const bounds = buckets.map(({ labels }) => labels.le === "+Inf" ? Infinity : Number(labels.le));
    assert.deepEqual(bounds, [...bounds].sort((a, b) => a - b), `${name}${labels}: bounds rise`);
    assert.equal(bounds.at(-1), Infinity);
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(counts, [...counts].sort((a, b) => a - b), `${name}${labels}: buckets are cumulative`);
    assert.equal(own.find((sample) => sample.name === `${name}_count`)?.value, counts.at(-1));
    assert.ok(own.some((sample) => sample.name === `${name}_sum`));
  }
}
