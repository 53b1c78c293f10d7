import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { CodeSubject } from "../db/letters.ts";
import { folded } from "../lib/folding.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LENGTH = 8;

/**
 * The input from which a code is derived. Only this is stored and queued, so that no table and no job contains a code.
 */
export function newNonce(): string {
  return randomBytes(16).toString("base64url");
}

/**
 * Eight characters of `A–Z0–9`, each equally likely. The address is part of the input, so that a code becomes invalid
 * when the account changes its address.
 */
export function codeFor(key: Uint8Array, { purpose, user, address }: CodeSubject, nonce: string): string {
  const mac = createHmac("sha256", key).update(`${purpose}\n${user}\n${nonce}\n${folded(address)}`).digest();
  // 128 bits in base 36: the remaining bias is below 2^-86.
  let number = BigInt("0x" + mac.subarray(0, 16).toString("hex"));
  let code = "";
  for (let i = 0; i < LENGTH; i++) {
    code += ALPHABET[Number(number % 36n)];
    number /= 36n;
  }
  return code;
}

/** Compares in constant time. Ignores case and surrounding spaces. */
export function codeMatches(key: Uint8Array, subject: CodeSubject, nonce: string, given: string): boolean {
  const right = new TextEncoder().encode(codeFor(key, subject, nonce));
  const other = new TextEncoder().encode(given.trim().toUpperCase());
  return right.length === other.length && timingSafeEqual(right, other);
}
