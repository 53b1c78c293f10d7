import { hash, hashRaw, verify } from "@node-rs/argon2";
import { AppError } from "../lib/errors.ts";
import { Semaphore } from "../lib/semaphore.ts";

/** The library's number for it; its enum is not there at run time. */
const ARGON2ID = 2;
/** OWASP's parameters for argon2id: 19 MiB, two passes, one lane. */
const OPTIONS = { algorithm: ARGON2ID, memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const AT_ONCE = Math.max(2, navigator.hardwareConcurrency);
/** Hashes that may wait; over it sign-in is refused before it takes effect (`docs/limits.md`). */
const MAX_WAITING = 200;

const places = new Semaphore({
  concurrency: AT_ONCE,
  maxWaiting: MAX_WAITING,
  refusal: () => new AppError("overloaded", "Too many sign-ins at the same time; try again", { retryAfter: 2 }),
});
let begun = 0;

/** Hashes off the event loop, a bounded number at once. Throws `overloaded`. */
export function hashPassword(password: string): Promise<string> {
  return inTurn(() => hash(normal(password), OPTIONS));
}

/** In NFKC (RFC 8265 §4.2); a hash that was made before passwords were normalised holds the password as it was given. */
export async function verifyPassword(passwordHash: string, password: string): Promise<boolean> {
  const normalised = normal(password);
  if (await inTurn(() => verify(passwordHash, normalised))) return true;
  return normalised !== password && await inTurn(() => verify(passwordHash, password));
}

/** The same password under the same salt of 16 bytes is the same value; as costly to guess at as a hash. */
export async function hashUnderSalt(password: string, salt: Uint8Array): Promise<string> {
  const raw = await inTurn(() => hashRaw(normal(password), { ...OPTIONS, salt }));
  return new Uint8Array(raw).toBase64({ alphabet: "base64url", omitPadding: true });
}

function normal(password: string): string {
  return password.normalize("NFKC");
}

const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)).toBase64({ omitPadding: true });
/** Nobody's password: a salt and a hash out of the air, under the same parameters. */
const DUMMY = `$argon2id$v=19$m=${OPTIONS.memoryCost},t=${OPTIONS.timeCost},p=${OPTIONS.parallelism}$${random(16)}$${
  random(32)
}`;

/** Nobody's password is wrong, and takes as long to be so, so that an unknown login takes no other time. */
export function verifyAccount(account: { password_hash: string } | undefined, password: string): Promise<boolean> {
  return verifyPassword(account?.password_hash ?? DUMMY, password);
}

/** How many hashes this process has made, of the kind that cost time. */
export function hashes(): number {
  return begun;
}

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  return places.run(() => {
    begun++;
    return work();
  });
}
