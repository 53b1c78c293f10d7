import { createLocalJWKSet, errors, jwtVerify, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import { publicKeys } from "../../db/signing_keys.ts";
import type { Reader } from "../../db/sql.ts";
import { AppError } from "../../lib/errors.ts";

/** Minimum interval of look-ups of a new key, and how long a removed key is still accepted (`docs/limits.md`). */
const LOOK_MS = 5_000;
const REFRESH_MS = 60_000;
const MAX_BYTES = 2_048;

interface KnownKeys {
  kids: ReadonlySet<string>;
  keyOf: JWTVerifyGetKey;
  readAt: number;
}

/**
 * Verifies access tokens by the public keys in the main database: signature and expiry. Needs no secret, and no process
 * but the database.
 */
export class Verifier {
  #known: KnownKeys | undefined;
  #reading: Promise<KnownKeys> | undefined;

  constructor(private readonly ledger: Reader, private readonly now: () => number = () => performance.now()) {}

  /** The account of the token. Throws a 401, or a 503 while the keys cannot be read. */
  async account(header: string | undefined): Promise<string> {
    const token = /^bearer +([^\s,]+) *$/i.exec(header ?? "")?.[1];
    if (token === undefined) throw new AppError("token-missing");
    if (token.length > MAX_BYTES) throw new AppError("token-invalid");
    try {
      const { payload } = await jwtVerify(
        token,
        async (header, token) => (await this.#keys(header.kid)).keyOf(header, token),
        {
          algorithms: ["EdDSA"],
          issuer: "rookery",
          // A refresh token has another type.
          typ: "at+jwt",
          requiredClaims: ["sub", "sid", "exp"],
        },
      );
      const account = z.uuid().safeParse(payload.sub);
      if (account.success) return account.data;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new AppError("token-expired");
      if (!isWrongToken(error)) {
        throw new AppError("stats-unavailable", "The signing keys cannot be read; try again", { cause: error });
      }
    }
    throw new AppError("token-invalid");
  }

  /** Read again at an interval, so that a removed key is no longer accepted, and for an unknown key id. */
  async #keys(kid: string | undefined): Promise<KnownKeys> {
    const known = this.#known;
    if (known) {
      const age = this.now() - known.readAt;
      if (age < LOOK_MS || (age < REFRESH_MS && kid !== undefined && known.kids.has(kid))) return known;
    }
    return await (this.#reading ??= this.#read().finally(() => this.#reading = undefined));
  }

  async #read(): Promise<KnownKeys> {
    const readAt = this.now();
    const keys = await publicKeys(this.ledger);
    const jwks = keys.map(({ kid, public_jwk }) => ({ kty: "OKP", ...public_jwk, kid, use: "sig", alg: "EdDSA" }));
    const keyOf = createLocalJWKSet({ keys: jwks });
    return this.#known = { kids: new Set(keys.map(({ kid }) => kid)), keyOf, readAt };
  }
}

/** Other errors are problems with the keys. */
function isWrongToken(error: unknown): boolean {
  return error instanceof errors.JWTInvalid || error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWSInvalid || error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey;
}
