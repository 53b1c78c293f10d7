import { eventRow } from "./turn_statement.ts";

/**
 * The event that a session, role, block, password or verification changed. Every node forgets what it knows of the
 * account and checks its sockets. `user` and `from` are SQL.
 */
export function accountChanged(user: string, from: string, at = "at"): string {
  return eventRow("account.changed", { user, from, at });
}

/** The same, for a change that may come from the operator's task: then the account's actor did not make it. */
export function accountChangedBy(user: string, from: string): string {
  return eventRow("account.changed", {
    user,
    from,
    data: `case when by_id is null then '{"outside": true}'::jsonb end`,
  });
}
