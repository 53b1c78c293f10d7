import type { Actors } from "./actors.ts";
import { partitionOf } from "../db/partitions.ts";
import { type AccountSnapshot, accountSnapshot } from "../db/users.ts";
import type { AccountRole } from "../db/account_role.ts";
import type { Reader } from "../db/sql.ts";
import { endReason } from "../db/sessions.ts";
import { AppError } from "../lib/errors.ts";
import type { AccessClaims } from "../security/tokens.ts";
import { blockDetail, isBlocked } from "../db/blocks.ts";

/** The caller of a request: the account's current state, not the state in the token. */
export interface Caller {
  id: string;
  role: AccountRole;
  verified: boolean;
  /** The session of the token. */
  sid: string;
}

/** The accounts as known to a process. */
export interface Accounts {
  /**
   * The caller of a verified access token. Otherwise throws the first of: invalid, blocked, ended, refreshed, expired.
   */
  authenticate(claims: AccessClaims, now?: number): Promise<Caller>;
  /** Null if the account was deleted. */
  snapshot(userId: string): Promise<AccountSnapshot | null>;
}

/** Accounts cached per node (`docs/limits.md`). */
const MAX_ACCOUNTS = 100_000;

/**
 * Caches accounts, so that a request needs no query. Every commit of a user actor that changes an account updates the
 * cache before its reply. The cache is authoritative while this node owns the partition.
 */
export class AccountCache implements Accounts {
  #snapshots = new Map<string, AccountSnapshot | null>();
  #listeners: ((userId: string, snapshot: AccountSnapshot | null) => void)[] = [];

  constructor(private readonly actors: () => Pick<Actors, "ask">, private readonly sql: Reader) {}

  /** Called at every change of an account's session, role, block or existence. */
  onChange(listener: (userId: string, snapshot: AccountSnapshot | null) => void): void {
    this.#listeners.push(listener);
  }

  changed(userId: string, snapshot: AccountSnapshot | null): void {
    this.#remember(userId, snapshot);
    for (const listen of this.#listeners) listen(userId, snapshot);
  }

  /** The account was changed without its actor, which knows the change by now. Later requests see the new state. */
  async renew(userId: string): Promise<void> {
    this.#snapshots.delete(userId);
    const snapshot = await this.snapshot(userId).catch(() => accountSnapshot(this.sql, userId)).catch(() => undefined);
    if (snapshot === undefined) return;
    for (const listen of this.#listeners) listen(userId, snapshot);
  }

  forget(partitions: readonly number[]): void {
    const moved = new Set(partitions);
    for (const id of this.#snapshots.keys()) if (moved.has(partitionOf(id))) this.#snapshots.delete(id);
  }

  async snapshot(userId: string): Promise<AccountSnapshot | null> {
    const known = this.#snapshots.get(userId);
    if (known !== undefined) return known;
    const snapshot = await this.actors().ask("user", userId, "snapshot");
    // A change received meanwhile is newer than this read.
    const newer = this.#snapshots.get(userId);
    if (newer !== undefined) return newer;
    this.#remember(userId, snapshot);
    return snapshot;
  }

  async authenticate(claims: AccessClaims, now = Date.now()): Promise<Caller> {
    return await judge(this.sql, this.#snapshots.get(claims.sub) ?? await this.snapshot(claims.sub), claims, now);
  }

  #remember(userId: string, snapshot: AccountSnapshot | null): void {
    this.#snapshots.delete(userId);
    this.#snapshots.set(userId, snapshot);
    if (this.#snapshots.size <= MAX_ACCOUNTS) return;
    const oldest = this.#snapshots.keys().next();
    if (!oldest.done) this.#snapshots.delete(oldest.value);
  }
}

/** For a process without actors: reads Postgres at each request and caches nothing. */
export class AccountReader implements Accounts {
  constructor(private readonly sql: Reader) {}

  async authenticate(claims: AccessClaims, now = Date.now()): Promise<Caller> {
    return await judge(this.sql, await accountSnapshot(this.sql, claims.sub), claims, now);
  }

  snapshot(userId: string): Promise<AccountSnapshot | null> {
    return accountSnapshot(this.sql, userId);
  }
}

async function judge(
  sql: Reader,
  snapshot: AccountSnapshot | null,
  claims: AccessClaims,
  now: number,
): Promise<Caller> {
  if (!snapshot) throw new AppError("token-invalid");
  if (isBlocked(snapshot, now)) throw new AppError("account-blocked", blockDetail(snapshot));
  if (snapshot.session?.id !== claims.sid) throw new AppError(await endReason(sql, claims.sub, claims.sid));
  if (claims.gen < snapshot.session.generation) throw new AppError("token-refreshed");
  if (claims.gen > snapshot.session.generation) throw new AppError("token-invalid");
  if (claims.exp * 1000 <= now) throw new AppError("token-expired");
  return { id: claims.sub, role: snapshot.role, verified: snapshot.verified, sid: claims.sid };
}
