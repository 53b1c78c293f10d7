import { hash, verify } from "@node-rs/argon2";
import { AppError } from "../errors.ts";

/** The library's number for it; its enum is not there at run time. */
const ARGON2ID = 2;
/** OWASP's parameters for argon2id: 19 MiB, two passes, one lane. */
const OPTIONS = { algorithm: ARGON2ID, memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const AT_ONCE = Math.max(2, navigator.hardwareConcurrency);
/** Hashes that may wait; over it sign-in is refused before it takes effect (`docs/limits.md`). */
const WAITING_BOUND = 200;

let running = 0;
const waiting: (() => void)[] = [];

/** Hashes off the event loop, a bounded number at once. Throws `overloaded`. */
export function hashPassword(password: string): Promise<string> {
  return inTurn(() => hash(password, OPTIONS));
}

export function verifyPassword(passwordHash: string, password: string): Promise<boolean> {
  return inTurn(() => verify(passwordHash, password));
}

const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)).toBase64({ omitPadding: true });
/** Nobody's password: a salt and a hash out of the air, under the same parameters. */
const DUMMY = `$argon2id$v=19$m=${OPTIONS.memoryCost},t=${OPTIONS.timeCost},p=${OPTIONS.parallelism}$${random(16)}$${
  random(32)
}`;

/** Takes as long as a real comparison and never succeeds, so that unknown logins cannot be told by time. */
export async function verifyDummy(password: string): Promise<false> {
  await verifyPassword(DUMMY, password);
  return false;
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) {
    if (waiting.length >= WAITING_BOUND) {
      throw new AppError("overloaded", "Too many sign-ins at once", { retryAfter: 2 });
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  }
  running++;
  try {
    return await work();
  } finally {
    running--;
    waiting.shift()?.();
  }
}
