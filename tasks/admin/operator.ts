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
/** In the record of moderation: nobody with an account, and not the system by itself. */
const BY_OPERATOR: ByRow = { by_id: null, by_role: null, reason: "By the operator, with deno task admin" };

/**
 * Who runs the installation acts upon accounts past their actors, which may be in a process that cannot be asked. The statements are those of
 * the actors, under the epoch that is in force: they are as whole, as fenced and as recorded as the actors' own. Each tells
 * `account.changed`, by which the actor and whoever remembers the account let go of what they know.
 */
export class Operator {
  readonly #committer: Committer;

  constructor(private readonly sql: Sql) {
    // Nobody here to offer them to: whoever runs reads them in the ledger.
    this.#committer = new Committer(sql, () => {});
  }

  /** False where nobody who can sign in would be an administrator any more. */
  async setRole(id: string, role: AccountRole): Promise<boolean> {
    const { last_admin } = await this.#apply(setRole, { id, role, ...this.#now() });
    return !last_admin;
  }

  /** Ends the account's session; when this resolves the old password is of no use. */
  async givePassword(id: string, password_hash: string): Promise<void> {
    await this.#apply(givePassword, { id, password_hash, job: newId(), ...this.#now() });
    // Who has signed in meanwhile, at an actor that knew nothing yet, did so with the old one: nobody knows the new one.
    while (await hasSession(this.sql, id)) {
      await this.#apply(givePassword, { id, password_hash, job: newId(), ...this.#now() });
    }
  }

  #now(): ByRow & { at: string } {
    return { ...BY_OPERATOR, at: new Date().toISOString() };
  }

  /** Commits, and resolves when every node that runs judges by what was written. */
  async #apply<Row extends { id: string }, Result>(commit: Commit<Row, Result>, row: Row): Promise<Result> {
    const result = await this.#commit(commit, row);
    // Nodes find it as they renew their leases, within a second; a silent one is waited for until its lease is over.
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
        // A node has taken the partition in this moment.
        if (!(error instanceof Fenced) || attempt === TRIES) throw error;
      }
    }
  }
}
