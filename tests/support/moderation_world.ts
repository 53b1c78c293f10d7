/** A migrated database with people and pages, straight in its tables: for tests of statements. */
import type { Commit } from "../../db/turn_statement.ts";
import { Committer } from "../../actors/runtime/committer.ts";
import type { Sql } from "../../db/sql.ts";
import type { AccountRole } from "../../db/account_role.ts";
import { newId } from "../../lib/ids.ts";
import { openTestDatabase } from "./database.ts";

export class ModerationWorld implements AsyncDisposable {
  private constructor(readonly sql: Sql) {}

  static async open(): Promise<ModerationWorld> {
    return new ModerationWorld(await openTestDatabase());
  }

  async account(login: string, role: AccountRole = "user"): Promise<{ id: string; page: string }> {
    const [id, page] = [newId(), newId()];
    await this.sql.execute(
      `with made as (
        insert into users (id, login, password_hash, first_name, last_name, email, role, page_id, created_at)
        values ($1, $2, '', 'Ada', 'Lovelace', $2 || '@rookery.test', $3, $4, now()))
      insert into pages (id, owner_id, is_personal, uuid, name, created_at) values ($4, $1, true, $2, $2, now())`,
      [id, login, role, page],
    );
    return { id, page };
  }

  /** Commits turns of one kind, which share a statement, as a worker would; tells their answers. */
  async commit<Row extends object, Result>(kind: Commit<Row, Result>, rows: Row[]): Promise<Result[]> {
    const committer = new Committer(this.sql, () => {});
    const turns = rows.map((row) => ({ partition: 1, epoch: 0, row: row as Record<string, unknown> }));
    const answers = await Promise.all(turns.map((turn) => committer.submit(kind as Commit<object, unknown>, turn)));
    return answers.map(({ result }) => result as Result);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sql[Symbol.asyncDispose]();
  }
}
