import type { ByRow } from "../../db/moderation_log.ts";
import { givePassword, setRole } from "../../db/moderation.ts";
import { nextAcknowledgement } from "../../db/nodes.ts";
import { hasSession } from "../../db/sessions.ts";
import type { Sql } from "../../db/sql.ts";
import type { AccountRole } from "../../db/account_role.ts";
import { acknowledged } from "../../live/delivery_barrier.ts";
import { newId } from "../../lib/ids.ts";
import type { Commit } from "../../db/turn_statement.ts";
import { Committer, Fenced } from "../../actors/runtime/committer.ts";
import { partitionOf } from "../../db/partitions.ts";
import { assertCanonical } from "../../actors/runtime/ref.ts";

const TRIES = 6;
/** The actor in the record of moderation: no account, and not the system itself. */
const BY_OPERATOR: ByRow = { by_id: null, by_role: null, reason: "By the operator, with deno task admin" };

/**
 * Changes accounts without their actors, which may run in a process that cannot be reached. It uses the actors'
 * statements under the current epoch, so changes are as atomic, fenced and recorded as the actors' own. Each emits
 * `account.changed`, on which actors and caches discard what they hold.
 */
export class Operator {
  readonly #committer: Committer;

  constructor(private readonly sql: Sql) {
    // There are no local consumers: running nodes read the events from Postgres.
    this.#committer = new Committer(sql, () => {});
  }

  /** False if no administrator who can sign in would be left. */
  async setRole(id: string, role: AccountRole): Promise<boolean> {
    const { last_admin } = await this.#apply(setRole, { id, role, ...this.#now() });
    return !last_admin;
  }

  /** Ends the account's session. The old password is invalid when this resolves. */
  async givePassword(id: string, password_hash: string): Promise<void> {
    await this.#apply(givePassword, { id, password_hash, job: newId(), ...this.#now() });
    // Somebody may have signed in with the old password at an actor that had not seen the change yet.
    while (await hasSession(this.sql, id)) {
      await this.#apply(givePassword, { id, password_hash, job: newId(), ...this.#now() });
    }
  }

  #now(): ByRow & { at: string } {
    return { ...BY_OPERATOR, at: new Date().toISOString() };
  }

  /** Commits. Resolves when every running node applies what was written. */
  async #apply<Row extends { id: string }, Result>(commit: Commit<Row, Result>, row: Row): Promise<Result> {
    const result = await this.#commit(commit, row);
    // Nodes see it when they renew their leases, within a second. A silent node is waited for until its lease ends.
    await acknowledged(this.sql, await nextAcknowledgement(this.sql));
    return result;
  }

  async #commit<Row extends { id: string }, Result>(commit: Commit<Row, Result>, row: Row): Promise<Result> {
    assertCanonical({ kind: "user", id: row.id });
    const partition = partitionOf(row.id);
    for (let attempt = 1;; attempt++) {
      const [found] = await this.sql.query<{ epoch: number }>("select epoch from partitions where id = $1", [
        partition,
      ]);
      try {
        const turn = { partition, epoch: found?.epoch ?? -1, row: row as Record<string, unknown> };
        return (await this.#committer.submit(commit as Commit<object, unknown>, turn)).result as Result;
      } catch (error) {
        // A node has just acquired the partition.
        if (!(error instanceof Fenced) || attempt === TRIES) throw error;
      }
    }
  }
}
