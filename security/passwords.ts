import { hash, hashRaw, verify } from "@node-rs/argon2";
import { AppError } from "../lib/errors.ts";
import { Semaphore } from "../lib/semaphore.ts";

/** The number of the algorithm in the library; its enum does not exist at run time. */
const ARGON2ID = 2;
/** The parameters that OWASP recommends for argon2id: 19 MiB, two passes, one lane. */
const OPTIONS = { algorithm: ARGON2ID, memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const HASH_CONCURRENCY = Math.max(2, navigator.hardwareConcurrency);
/** Hashes that may wait; beyond this sign-in is refused (`docs/limits.md`). */
const MAX_WAITING = 200;

const places = new Semaphore({
  concurrency: HASH_CONCURRENCY,
  maxWaiting: MAX_WAITING,
  refusal: () => new AppError("overloaded", "Too many sign-ins at the same time; try again", { retryAfter: 2 }),
});
let begun = 0;

/** Hashes outside the event loop, with limited concurrency. Throws `overloaded`. */
export function hashPassword(password: string): Promise<string> {
  return inTurn(() => hash(normal(password), OPTIONS));
}

/** In NFKC (RFC 8265 §4.2). Hashes from before passwords were normalized contain the password as given. */
export async function verifyPassword(passwordHash: string, password: string): Promise<boolean> {
  const normalised = normal(password);
  if (await inTurn(() => verify(passwordHash, normalised))) return true;
  return normalised !== password && await inTurn(() => verify(passwordHash, password));
}

/** Deterministic: the same password and 16-byte salt give the same value. It costs as much as a hash. */
export async function hashUnderSalt(password: string, salt: Uint8Array): Promise<string> {
  const raw = await inTurn(() => hashRaw(normal(password), { ...OPTIONS, salt }));
  return new Uint8Array(raw).toBase64({ alphabet: "base64url", omitPadding: true });
}

function normal(password: string): string {
  return password.normalize("NFKC");
}

const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)).toBase64({ omitPadding: true });
/** A random salt and hash with the same parameters, for logins without an account. */
const DUMMY = `$argon2id$v=19$m=${OPTIONS.memoryCost},t=${OPTIONS.timeCost},p=${OPTIONS.parallelism}$${random(16)}$${
  random(32)
}`;

/** For an unknown login it verifies a dummy hash, so that the response takes the same time. */
export function verifyAccount(account: { password_hash: string } | undefined, password: string): Promise<boolean> {
  return verifyPassword(account?.password_hash ?? DUMMY, password);
}

/** The number of expensive hashes that this process has computed. */
export function hashes(): number {
  return begun;
}

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  return places.run(() => {
    begun++;
    return work();
  });
}
