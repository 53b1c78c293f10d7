import { Buffer } from "node:buffer";
import { sign, verify } from "node:crypto";
import { z } from "zod";
import type { Keys } from "./keys.ts";

const claims = z.object({
  iss: z.literal("rookery"),
  sub: z.uuid(),
  /** Session id. */
  sid: z.uuid(),
  /** The number of refreshes of the session when the token was created. */
  gen: z.int().min(0),
  iat: z.int(),
  exp: z.int(),
  jti: z.string(),
});
export type AccessClaims = z.infer<typeof claims>;

export type TokenKind = "access" | "refresh";
/** The `typ` header distinguishes the kinds (RFC 8725 §3.11), so that neither is accepted as the other. */
const TYPES: Record<TokenKind, string> = { access: "at+jwt", refresh: "rt+jwt" };

export interface SessionTokens {
  user_id: string;
  sid: string;
  gen: number;
  /** Unix seconds. */
  issued_at_s: number;
  kid: string;
}

export type Verified = { ok: true; claims: AccessClaims } | { ok: false };

const MAX_BYTES = 2_048;
/** Number of verified access tokens in memory. The signature of each is verified once. */
const REMEMBERED = 20_000;
const INVALID: Verified = { ok: false };

/**
 * JWTs signed with Ed25519. Creating one is a pure function of the session, so a repeated refresh returns the same
 * pair. Expiry is not checked here: other reasons to refuse a token take precedence over it.
 */
export class Tokens {
  #known = new Map<string, AccessClaims>();

  constructor(private readonly keys: Keys, private readonly ttl: { accessMs: number; refreshMs: number }) {}

  mint({ user_id, sid, gen, issued_at_s, kid }: SessionTokens): {
    access_token: string;
    refresh_token: string;
    expires_in: number;
  } {
    const make = (kind: TokenKind, ttlMs: number) => {
      const payload = {
        iss: "rookery" as const,
        sub: user_id,
        sid,
        gen,
        iat: issued_at_s,
        exp: issued_at_s + Math.ceil(ttlMs / 1000),
      };
      return this.#sign(kid, TYPES[kind], { ...payload, jti: `${sid}.${gen}.${kind}` });
    };
    return {
      access_token: make("access", this.ttl.accessMs),
      refresh_token: make("refresh", this.ttl.refreshMs),
      expires_in: Math.ceil(this.ttl.accessMs / 1000),
    };
  }

  verify(token: string, kind: TokenKind): Verified {
    if (kind === "access") {
      const known = this.#known.get(token);
      if (known) return { ok: true, claims: known };
    }
    const verified = this.#check(token, TYPES[kind]);
    if (verified.ok && kind === "access") {
      if (this.#known.size >= REMEMBERED) {
        const oldest = this.#known.keys().next();
        if (!oldest.done) this.#known.delete(oldest.value);
      }
      this.#known.set(token, verified.claims);
    }
    return verified;
  }

  #check(token: string, type: string): Verified {
    if (token.length > MAX_BYTES) return INVALID;
    const [header, payload, signature, ...more] = token.split(".");
    if (!header || !payload || !signature || more.length > 0) return INVALID;
    const { alg, typ, kid } = parse(header);
    if (alg !== "EdDSA" || typ !== type || typeof kid !== "string") return INVALID;
    const key = this.keys.get(kid);
    const signed = Buffer.from(`${header}.${payload}`);
    // Base64 has several spellings of the same bytes; only the canonical one is valid.
    const bytes = Buffer.from(signature, "base64url");
    if (!key || bytes.length !== 64 || bytes.toString("base64url") !== signature) return INVALID;
    if (!verify(null, signed, key.publicKey, bytes)) return INVALID;
    const parsed = claims.safeParse(parse(payload));
    return parsed.success ? { ok: true, claims: parsed.data } : INVALID;
  }

  #sign(kid: string, typ: string, payload: AccessClaims): string {
    const key = this.keys.get(kid);
    if (!key) throw new Error(`The signing key "${kid}" no longer exists`);
    const body = `${encode({ alg: "EdDSA", typ, kid })}.${encode(payload)}`;
    return `${body}.${sign(null, Buffer.from(body), key.privateKey).toString("base64url")}`;
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function parse(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
  } catch {
    return {};
  }
}
