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

let dummy: Promise<string> | undefined;

/** Takes as long as a real comparison and never succeeds, so that unknown logins cannot be told by time. */
export async function verifyDummy(password: string): Promise<false> {
  dummy ??= hashPassword("a password that nobody has: 0-zZ");
  await verifyPassword(await dummy, password);
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
