import { sleep } from "../../lib/sleep.ts";

interface Waiting {
  timeoutMs?: number;
  everyMs?: number;
  /** What there is instead, for the message of a failure. */
  late?: () => string;
}

/** Waits for a condition; the time is an upper bound for a busy machine, never what a test takes. */
export async function until<Value>(
  what: string,
  look: () => Value | Promise<Value>,
  { timeoutMs = 60_000, everyMs = 20, late }: Waiting = {},
): Promise<NonNullable<Exclude<Value, false>>> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (value) return value as NonNullable<Exclude<Value, false>>;
    if (Date.now() > end) throw new Error(`Waited ${timeoutMs} ms in vain for: ${what}${late ? `; ${late()}` : ""}`);
    await sleep(everyMs);
  }
}
