import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import { z } from "zod";
import { AppError } from "../../lib/errors.ts";

/** Minimum interval of look-ups of a new key, and interval of reloads (`docs/limits.md`). */
const LOOK_MS = 5_000;
const REFRESH_MS = 60_000;
const ANSWER_MS = 2_000;
const MAX_BYTES = 2_048;

/** Verifies access tokens by the published keys: signature and expiry. Needs no secret. */
export class Verifier {
  readonly #keys: ReturnType<typeof createRemoteJWKSet>;

  constructor(apiUrl: string) {
    this.#keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", apiUrl), {
      cooldownDuration: LOOK_MS,
      cacheMaxAge: REFRESH_MS,
      timeoutDuration: ANSWER_MS,
    });
  }

  /** The account of the token. Throws a 401, or a 503 while the keys cannot be read. */
  async account(header: string | undefined): Promise<string> {
    const token = /^bearer +([^\s,]+) *$/i.exec(header ?? "")?.[1];
    if (token === undefined) throw new AppError("token-missing");
    if (token.length > MAX_BYTES) throw new AppError("token-invalid");
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        algorithms: ["EdDSA"],
        issuer: "rookery",
        // A refresh token has another type.
        typ: "at+jwt",
        requiredClaims: ["sub", "sid", "exp"],
      });
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
}

/** Other errors are problems with the keys. */
function isWrongToken(error: unknown): boolean {
  return error instanceof errors.JWTInvalid || error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWSInvalid || error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey;
}
