/** Tests that need Redis and NATS, left out where these are not installed. */
import { seededTest } from "./seeded.ts";

const isFull = Deno.env.has("TEST_NATS_URL") && Deno.env.has("TEST_REDIS_URL");
const leftOut = (name: string) => Deno.test.ignore(name, () => {});

export const fullTest: (name: string, body: () => Promise<void>) => void = isFull
  ? (name, body) => Deno.test(name, body)
  : leftOut;

/** With a seed of its own, as `seededTest`. */
export const fullSeededTest: typeof seededTest = isFull ? seededTest : leftOut;
