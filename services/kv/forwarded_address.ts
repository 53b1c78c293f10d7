/**
 * Passes the address of the caller from a node to the key–value process: limits count by it, not by the address of the
 * node.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Secret } from "../../security/secret.ts";

const ADDRESS = "x-rookery-address";
const TOKEN = "x-rookery-token";

export class Hop {
  readonly #token: string;
  readonly #expected: Uint8Array;

  constructor(secret: Secret) {
    this.#token = secret.mac("kv", "hop");
    this.#expected = digest(this.#token);
  }

  headers(address: string): Record<string, string> {
    return { [ADDRESS]: address, [TOKEN]: this.#token };
  }

  /** The address of the caller: from a node of this installation, otherwise `known`. */
  addressOf(request: Request, known: string): string {
    const token = request.headers.get(TOKEN);
    if (token === null || !timingSafeEqual(digest(token), this.#expected)) return known;
    return request.headers.get(ADDRESS) ?? known;
  }
}

/** Hashes give both sides of a constant-time comparison the same length. */
function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
