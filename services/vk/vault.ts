import { type Cache, CacheUnavailable } from "../../lib/cache/cache.ts";
import { type Sql, SqlError } from "../../db/sql.ts";
import {
  deleteVkToken,
  dropVkToken,
  resealVkToken,
  sealedVkTokens,
  storeVkToken,
  type TokenKind,
  vkToken,
  vkTokenInForce,
} from "../../db/vk_tokens.ts";
import { AppError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { newId } from "../../lib/ids.ts";
import type { Secret } from "../../security/secret.ts";
import { VkToken } from "./token.ts";

export interface HeldToken {
  token: VkToken;
  kind: TokenKind;
  /** Changes with each change of the token. */
  version: string;
}

export interface VaultOptions {
  sql: Sql;
  /** Redis in a full installation. */
  copies: Cache;
  secret: Secret;
  log: Log;
}

const PURPOSE = "vk-tokens";
/** Lifetime of a copy, also of one that could not be removed (`docs/limits.md`). */
const COPY_MS = 60 * 60_000;
const RESEAL_BATCH = 200;

/**
 * People's VK tokens. Postgres has the ciphertext and the version in force; the copy in the cache is used. A copy that
 * is lost, damaged or of another version is created again, so a token that was replaced or deleted is never used.
 */
export class TokenVault {
  constructor(private readonly options: VaultOptions) {}

  async put(userId: string, kind: TokenKind, token: VkToken): Promise<void> {
    const version = newId();
    const plain = new TextEncoder().encode(token.reveal());
    const sealed = this.options.secret.seal(PURPOSE, plain, contextOf(userId, version));
    if (!await storeVkToken(this.options.sql, userId, { version, kind, sealed })) throw new AppError("not-found");
    await this.#copy(userId, version, sealed);
  }

  async remove(userId: string): Promise<void> {
    await deleteVkToken(this.options.sql, userId);
    await this.forget(userId);
  }

  /** Removes only the copy. */
  async forget(userId: string): Promise<void> {
    await this.#withCopies((copies) => copies.delete(keyOf(userId)));
  }

  /** Throws `vk-token-missing` or `vk-token-invalid`. */
  async of(userId: string): Promise<HeldToken> {
    const inForce = await vkTokenInForce(this.options.sql, userId);
    if (!inForce) throw new AppError("vk-token-missing");
    if (inForce.refused) throw new AppError("vk-token-invalid");
    const { version, kind } = inForce;
    const copy = await this.#withCopies((copies) => copies.get(keyOf(userId)));
    const token = copy && this.#open(userId, version, sealedIn(copy, version));
    return token ? { token, kind, version } : await this.#anew(userId);
  }

  /** VK has refused it: it is deleted, unless it was replaced meanwhile. */
  async refused(userId: string, version: string): Promise<void> {
    await dropVkToken(this.options.sql, userId, version);
    await this.forget(userId);
  }

  /**
   * Encrypts again what was encrypted with the previous SECRET_KEY. Returns how many, and how many neither key
   * decrypts.
   */
  async reseal(): Promise<{ done: number; lost: number }> {
    const { sql, secret } = this.options;
    let [done, lost] = [0, 0];
    for (let after = "00000000-0000-0000-0000-000000000000";;) {
      const rows = await sealedVkTokens(sql, after, RESEAL_BATCH);
      for (const { user_id, version, sealed } of rows) {
        try {
          const anew = secret.reseal(PURPOSE, sealed, contextOf(user_id, version));
          if (!anew) continue;
          await resealVkToken(sql, user_id, version, anew);
          done++;
        } catch (error) {
          if (error instanceof SqlError) throw error;
          lost++;
        }
      }
      const last = rows.at(-1);
      if (!last || rows.length < RESEAL_BATCH) return { done, lost };
      after = last.user_id;
    }
  }

  async #anew(userId: string): Promise<HeldToken> {
    const { sql, log } = this.options;
    const row = await vkToken(sql, userId);
    if (!row) throw new AppError("vk-token-missing");
    const { version, kind, sealed } = row;
    if (!sealed) throw new AppError("vk-token-invalid");
    const token = this.#open(userId, version, sealed);
    if (!token) {
      log.error("VK token cannot be decrypted, SECRET_KEY has changed", { user_id: userId });
      throw new AppError("vk-token-invalid", "The stored VK token cannot be decrypted; store it again");
    }
    await this.#copy(userId, version, sealed);
    return { token, kind, version };
  }

  /** Checks again afterwards: the token may have been deleted, and the copy removed, before this one was written. */
  async #copy(userId: string, version: string, sealed: Uint8Array): Promise<void> {
    await this.#withCopies((copies) => copies.set(keyOf(userId), textOf(version, sealed), COPY_MS));
    if ((await vkTokenInForce(this.options.sql, userId))?.version !== version) await this.forget(userId);
  }

  #open(userId: string, version: string, sealed: Uint8Array | undefined): VkToken | undefined {
    if (!sealed) return undefined;
    try {
      const plain = this.options.secret.open(PURPOSE, sealed, contextOf(userId, version));
      return new VkToken(new TextDecoder().decode(plain));
    } catch {
      return undefined;
    }
  }

  /** Without Redis only speed is lost. */
  async #withCopies<T>(ask: (copies: Cache) => Promise<T>): Promise<T | undefined> {
    try {
      return await ask(this.options.copies);
    } catch (error) {
      if (error instanceof CacheUnavailable) return undefined;
      throw error;
    }
  }
}

function keyOf(userId: string): string {
  return `vk:token:${userId}`;
}

/** The ciphertext is bound to its account and version. */
function contextOf(userId: string, version: string): string {
  return `${userId} ${version}`;
}

function textOf(version: string, sealed: Uint8Array): string {
  return `${version}.${sealed.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

function sealedIn(copy: string, version: string): Uint8Array | undefined {
  if (!copy.startsWith(`${version}.`)) return undefined;
  try {
    return Uint8Array.fromBase64(copy.slice(version.length + 1), { alphabet: "base64url" });
  } catch {
    return undefined;
  }
}
