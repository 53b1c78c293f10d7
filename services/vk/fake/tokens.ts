import { invalidToken } from "./error.ts";
import { userById } from "./world.ts";

/** The owner of a token. */
export type Holder = { kind: "user"; id: number } | { kind: "service" } | { kind: "group" };

/**
 * `fake-user-<id>`, `fake-service` and `fake-group` are valid; `fake-expired` and `fake-revoked` no longer are. Throws
 * VK's error for any other.
 */
export function holderOf(token: string): Holder {
  const id = /^fake-user-([1-9]\d{0,8})$/.exec(token)?.[1];
  if (id !== undefined) {
    if (userById(Number(id))?.deactivated) throw invalidToken("invalid session");
    return { kind: "user", id: Number(id) };
  }
  if (token === "fake-service") return { kind: "service" };
  if (token === "fake-group") return { kind: "group" };
  if (token === "fake-expired") throw invalidToken("access_token has expired");
  if (token === "fake-revoked") throw invalidToken("user revoke access for this token");
  throw invalidToken("invalid access_token (4)");
}

/** For people to read; it contains no token. */
export function wordFor(holder: Holder): string {
  return holder.kind === "user" ? `user ${holder.id}` : holder.kind;
}
