import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import type { Secret } from "./secret.ts";

interface KeyRow {
  kid: string;
  public_jwk: Record<string, string>;
  sealed_private: Uint8Array;
  retired_at: string | null;
  usable: boolean;
}

/** Whether this secret, or the one before it, has sealed a stored key. */
export function opensSigningKey(
  secret: Secret,
  { kid, sealed_private }: Pick<KeyRow, "kid" | "sealed_private">,
): boolean {
  try {
    secret.open(PURPOSE, sealed_private, kid);
    return true;
  } catch {
    return false;
  }
}

export interface SigningKey {
  kid: string;
  publicKey: KeyObject;
  privateKey: KeyObject;
  jwk: Record<string, string>;
  retired: boolean;
}

const PURPOSE = "signing-keys";
const REFRESH_MS = 60_000;
/**
 * A new key is published before it is used, so that no node meets a token it cannot verify, or a session it cannot sign
 * for.
 */
const UNUSED_MS = 2 * REFRESH_MS;
/** Minimum interval between look-ups for an unknown key id, so that invented ids cost nothing. */
const LOOK_MS = 5_000;

/**
 * The Ed25519 keys that sign tokens, shared by all nodes and stored encrypted in Postgres. The newest key that is not
 * retired signs. A retired key stays in the JWKS until the last token it signed has expired.
 */
export class Keys implements AsyncDisposable {
  #keys = new Map<string, SigningKey>();
  #current!: SigningKey;
  #timer: ReturnType<typeof setInterval>;
  #lookedAt = 0;

  private constructor(private readonly sql: Sql, private readonly secret: Secret, log: Log) {
    this.#timer = setInterval(
      () => void this.reload().catch((error) => log.warn("reload of signing keys failed", { error })),
      REFRESH_MS,
    );
  }

  static async load(sql: Sql, secret: Secret, log: Log): Promise<Keys> {
    const keys = new Keys(sql, secret, log);
    await keys.reload();
    if (keys.#keys.size === 0) {
      // The fixed id lets one of several nodes create it while all use it.
      await keys.#add("first");
      await keys.reload();
    }
    return keys;
  }

  get currentKid(): string {
    return this.#current.kid;
  }

  get(kid: string): SigningKey | undefined {
    const key = this.#keys.get(kid);
    if (!key && Date.now() - this.#lookedAt > LOOK_MS) void this.reload().catch(() => {});
    return key;
  }

  /** The document with which other services verify tokens (RFC 7517). */
  jwks(): { keys: Record<string, string>[] } {
    return { keys: [...this.#keys.values()].map(({ jwk, kid }) => ({ ...jwk, kid, use: "sig", alg: "EdDSA" })) };
  }

  list(): { kid: string; retired: boolean }[] {
    return [...this.#keys.values()].map(({ kid, retired }) => ({ kid, retired }));
  }

  /**
   * Adds a key, which signs once every node knows it (`UNUSED_MS`). Retires the earlier keys, and deletes those whose
   * last refresh token has expired.
   */
  async rotate(refreshTtlMs: number): Promise<string> {
    const kid = crypto.randomUUID();
    await this.#add(kid);
    await this.sql.execute("update signing_keys set retired_at = coalesce(retired_at, now()) where kid <> $1", [kid]);
    await this.sql.execute("delete from signing_keys where retired_at < now() - $1 * interval '1 millisecond'", [
      refreshTtlMs,
    ]);
    await this.reload();
    return kid;
  }

  /** Encrypts again what was encrypted with the previous SECRET_KEY; returns the number of keys. */
  async reseal(): Promise<number> {
    const rows = await this.sql.query<Pick<KeyRow, "kid" | "sealed_private">>(
      "select kid, sealed_private from signing_keys",
    );
    let done = 0;
    for (const { kid, sealed_private } of rows) {
      const sealed = this.secret.reseal(PURPOSE, sealed_private, kid);
      if (!sealed) continue;
      await this.sql.execute("update signing_keys set sealed_private = $2 where kid = $1", [kid, sealed]);
      done++;
    }
    return done;
  }

  async reload(): Promise<void> {
    this.#lookedAt = Date.now();
    const rows = await this.sql.query<KeyRow>(
      `select kid, public_jwk, sealed_private, retired_at, created_at <= now() - $1 * interval '1 millisecond' as usable
      from signing_keys order by created_at, kid`,
      [UNUSED_MS],
    );
    const keys = new Map<string, SigningKey>();
    for (const row of rows) keys.set(row.kid, this.#open(row));
    // The first key need not wait for other nodes.
    const signs = rows.findLast(({ usable }) => usable) ?? rows[0];
    const current = signs && keys.get(signs.kid);
    this.#keys = keys;
    if (current) this.#current = current;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.resolve();
  }

  #open({ kid, public_jwk, sealed_private, retired_at }: KeyRow): SigningKey {
    const known = this.#keys.get(kid);
    if (known) return { ...known, retired: retired_at !== null };
    let der: Uint8Array;
    try {
      der = this.secret.open(PURPOSE, sealed_private, kid);
    } catch (cause) {
      throw new Error("The signing keys cannot be decrypted: SECRET_KEY is not the one they were encrypted with", {
        cause,
      });
    }
    const privateKey = createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
    return { kid, jwk: public_jwk, privateKey, publicKey: createPublicKey(privateKey), retired: retired_at !== null };
  }

  async #add(kid: string): Promise<void> {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const { kty, crv, x } = publicKey.export({ format: "jwk" });
    const sealed = this.secret.seal(PURPOSE, privateKey.export({ format: "der", type: "pkcs8" }), kid);
    await this.sql.execute(
      `insert into signing_keys (kid, public_jwk, sealed_private) values ($1, $2::jsonb, $3)
      on conflict (kid) do nothing`,
      [kid, JSON.stringify({ kty, crv, x }), sealed],
    );
  }
}
