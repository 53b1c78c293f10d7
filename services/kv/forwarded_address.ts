/** How a node tells the key–value process who asks it: limits count by the caller's address, not by the node's. */
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

  /** Whose request it is: what a node of this installation says, and otherwise what is known without it. */
  addressOf(request: Request, known: string): string {
    const token = request.headers.get(TOKEN);
    if (token === null || !timingSafeEqual(digest(token), this.#expected)) return known;
    return request.headers.get(ADDRESS) ?? known;
  }
}

/** Both sides of a comparison in constant time are of one length. */
function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
