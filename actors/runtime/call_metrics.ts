import type { Observations } from "../../lib/metrics/bound_histogram.ts";
import { boundHistogram, counter, secondsSince } from "../../lib/metrics/registry.ts";

const DURATION = boundHistogram<"outcome">("node_call_duration_seconds", "Time of a call to another node");
const RETRIES = counter(
  "node_call_retries_total",
  "Calls that were sent again after nothing was done: the partition had moved, or its node did not receive the call",
  ["reason"],
);

/** A refusal is an answer, too. `unknown`: sent, but no answer came. `unreachable`: no node received it. */
export type CallOutcome = "answered" | "unknown" | "unreachable";

const DURATIONS: Record<CallOutcome, Observations> = {
  answered: DURATION.bind({ outcome: "answered" }),
  unknown: DURATION.bind({ outcome: "unknown" }),
  unreachable: DURATION.bind({ outcome: "unreachable" }),
};

/** `start` is a time of `performance.now()`. */
export function recordNodeCall(outcome: CallOutcome, start: number): void {
  DURATIONS[outcome].observe(secondsSince(start));
}

export type RetryReason = "moved" | "unreachable" | "unknown";

export function recordNodeCallRetry(reason: RetryReason): void {
  RETRIES.inc({ reason });
}
