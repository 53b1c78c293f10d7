import type { Actors } from "./runtime/actors.ts";
import { partitionOf } from "./runtime/partition_leases.ts";
import type { Role, UserFacet } from "./user.ts";
import type { Reader } from "../db/sql.ts";
import { endReason } from "../db/sessions.ts";
import { userFacet } from "../db/users.ts";
import { AppError } from "../lib/errors.ts";
import type { AccessClaims } from "../security/tokens.ts";

/** Who calls, as the account is now: never as a token once said. */
export interface Caller {
  id: string;
  role: Role;
  verified: boolean;
  /** The session the token belongs to. */
  sid: string;
}

/** What a process knows of the accounts that call it. */
export interface Accounts {
  /** The caller of a verified access token, or the first reason why not: invalid, blocked, ended, refreshed, expired (S1-4). */
  authenticate(claims: AccessClaims, now?: number): Promise<Caller>;
  /** Null for an account that is gone. */
  facet(userId: string): Promise<UserFacet | null>;
}

/** How many accounts a node remembers (`docs/limits.md`). */
const MOST = 100_000;

/**
 * What the node remembers of accounts, so that a request costs no question. Every commit of a user actor that changes it
 * tells so before its reply; while this node owns the partition, the memory is the truth.
 */
export class Principals implements Accounts {
  #facets = new Map<string, UserFacet | null>();
  #listeners: ((userId: string, facet: UserFacet | null) => void)[] = [];

  constructor(private readonly actors: () => Pick<Actors, "ask">, private readonly sql: Reader) {}

  /** Called at every change of an account's session, role, block or existence. */
  onChange(listener: (userId: string, facet: UserFacet | null) => void): void {
    this.#listeners.push(listener);
  }

  changed(userId: string, facet: UserFacet | null): void {
    this.#remember(userId, facet);
    for (const listen of this.#listeners) listen(userId, facet);
  }

  /** The account was changed past its actor, which knows it by now: from here on requests are judged by what it is. */
  async renew(userId: string): Promise<void> {
    this.#facets.delete(userId);
    const facet = await this.facet(userId).catch(() => userFacet(this.sql, userId)).catch(() => undefined);
    if (facet === undefined) return;
    for (const listen of this.#listeners) listen(userId, facet);
  }

  forget(partitions: readonly number[]): void {
    const moved = new Set(partitions);
    for (const id of this.#facets.keys()) if (moved.has(partitionOf(id))) this.#facets.delete(id);
  }

  async facet(userId: string): Promise<UserFacet | null> {
    const known = this.#facets.get(userId);
    if (known !== undefined) return known;
    const facet = await this.actors().ask<UserFacet | null>({ kind: "user", id: userId }, { type: "facet" });
    // A change told meanwhile is newer than this answer.
    const newer = this.#facets.get(userId);
    if (newer !== undefined) return newer;
    this.#remember(userId, facet);
    return facet;
  }

  async authenticate(claims: AccessClaims, now = Date.now()): Promise<Caller> {
    return await judge(this.sql, this.#facets.get(claims.sub) ?? await this.facet(claims.sub), claims, now);
  }

  #remember(userId: string, facet: UserFacet | null): void {
    this.#facets.delete(userId);
    this.#facets.set(userId, facet);
    if (this.#facets.size <= MOST) return;
    const oldest = this.#facets.keys().next();
    if (!oldest.done) this.#facets.delete(oldest.value);
  }
}

/** The same for a process without actors, which remembers nobody: it asks Postgres at each request. */
export class StoredPrincipals implements Accounts {
  constructor(private readonly sql: Reader) {}

  async authenticate(claims: AccessClaims, now = Date.now()): Promise<Caller> {
    return await judge(this.sql, await userFacet(this.sql, claims.sub), claims, now);
  }

  facet(userId: string): Promise<UserFacet | null> {
    return userFacet(this.sql, userId);
  }
}

async function judge(sql: Reader, facet: UserFacet | null, claims: AccessClaims, now: number): Promise<Caller> {
  if (!facet) throw new AppError("token-invalid");
  if (isBlocked(facet, now)) throw new AppError("account-blocked", blockDetail(facet));
  if (facet.session?.id !== claims.sid) throw new AppError(await endReason(sql, claims.sub, claims.sid));
  if (claims.gen < facet.session.generation) throw new AppError("token-refreshed");
  if (claims.gen > facet.session.generation) throw new AppError("token-invalid");
  if (claims.exp * 1000 <= now) throw new AppError("token-expired");
  return { id: claims.sub, role: facet.role, verified: facet.verified, sid: claims.sid };
}

export function isBlocked({ blocked_until: until }: { blocked_until: string | null }, now: number): boolean {
  return until !== null && (until === "infinity" || Date.parse(until) > now);
}

/** Why and until when, for the person themselves. */
export function blockDetail(
  { blocked_until: until, blocked_reason: reason }: Pick<UserFacet, "blocked_until" | "blocked_reason">,
): string {
  return `The account is blocked ${until === "infinity" ? "for good" : `until ${until}`}: ${
    reason ?? "no reason given"
  }`;
}
