/**
 * The parts of `prom-client` that are used. The whole package takes twice as long to load, in each thread: it has
 * collectors and a push gateway. Its types are those of the whole.
 */
import type * as whole from "prom-client";
// @ts-types="prom-client"
import counter from "prom-client/lib/counter.js";
// @ts-types="prom-client"
import aggregator from "prom-client/lib/cluster.js";
// @ts-types="prom-client"
import histogram from "prom-client/lib/histogram.js";
// @ts-types="prom-client"
import registry from "prom-client/lib/registry.js";

export const Counter = counter as unknown as typeof whole.Counter;
export const Histogram = histogram as unknown as typeof whole.Histogram;
export const Registry = registry as unknown as typeof whole.Registry;
export const AggregatorRegistry = aggregator as unknown as typeof whole.AggregatorRegistry;
