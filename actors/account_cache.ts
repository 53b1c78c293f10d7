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
 * Caches accounts, so that a request needs no query. Every change of a session, role, block or password is an event
 * that reaches every node, and is acknowledged when each node with a lease has it. So the cache counts while this
 * node's lease holds; otherwise Postgres is read.
 */
export class AccountCache implements Accounts {
  #snapshots = new Map<string, AccountSnapshot>();
  /** Reads in progress, by account. A change makes their results obsolete. */
  #reads = new Map<string, Set<{ obsolete: boolean }>>();

  constructor(private readonly sql: Reader, private readonly license: { readonly holds: boolean }) {}

  /** The account has changed. Later requests see the new state. */
  changed(userId: string): void {
    this.#snapshots.delete(userId);
    for (const read of this.#reads.get(userId) ?? []) read.obsolete = true;
  }

  async snapshot(userId: string): Promise<AccountSnapshot | null> {
    if (!this.license.holds) return await accountSnapshot(this.sql, userId);
    return this.#snapshots.get(userId) ?? await this.#read(userId);
  }

  async authenticate(claims: AccessClaims, now = Date.now()): Promise<Caller> {
    const known = this.license.holds ? this.#snapshots.get(claims.sub) : undefined;
    return await judge(this.sql, known ?? await this.snapshot(claims.sub), claims, now);
  }

  async #read(userId: string): Promise<AccountSnapshot | null> {
    const read = { obsolete: false };
    const reads = this.#reads.get(userId) ?? new Set();
    this.#reads.set(userId, reads.add(read));
    try {
      const snapshot = await accountSnapshot(this.sql, userId);
      // A change that arrived meanwhile may be newer than what was read.
      if (!read.obsolete && snapshot) this.#remember(userId, snapshot);
      return snapshot;
    } finally {
      reads.delete(read);
      if (reads.size === 0) this.#reads.delete(userId);
    }
  }

  #remember(userId: string, snapshot: AccountSnapshot): void {
    this.#snapshots.set(userId, snapshot);
    if (this.#snapshots.size <= MAX_ACCOUNTS) return;
    const oldest = this.#snapshots.keys().next();
    if (!oldest.done) this.#snapshots.delete(oldest.value);
  }
}

/** For a process without an event stream: reads Postgres at each request and caches nothing. */
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
