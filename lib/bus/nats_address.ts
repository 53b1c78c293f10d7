import type { ConnectionOptions } from "@nats-io/nats-core";

/**
 * The options that a NATS URL stands for. The client does not read credentials from an address:
 * `nats://user:password@…` is a user, `nats://token@…` a token. Both are percent-encoded, as in any URL.
 */
export function natsAddress(url: string): Pick<ConnectionOptions, "servers" | "user" | "pass" | "token"> {
  const address = new URL(url);
  const [user, pass] = [address.username, address.password].map(decodeURIComponent) as [string, string];
  address.username = address.password = "";
  const servers = address.href.replace(/\/$/, "");
  if (pass !== "") return { servers, user, pass };
  return user === "" ? { servers } : { servers, token: user };
}
