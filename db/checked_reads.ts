import type { Sql } from "./sql.ts";

/**
 * For tests: `query` runs on connections of its own whose transactions are read-only (25006), so a test that runs a
 * `Reader` that writes fails. Names and texts of statements are unchanged.
 */
export class CheckedReads implements Sql {
  constructor(private readonly reads: Sql, private readonly writes: Sql) {}

  query<Row>(...statement: Parameters<Sql["query"]>): Promise<Row[]> {
    return this.reads.query(...statement);
  }

  execute<Row>(...statement: Parameters<Sql["execute"]>): Promise<Row[]> {
    return this.writes.execute(...statement);
  }

  script(text: string): Promise<void> {
    return this.writes.script(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.reads[Symbol.asyncDispose](), this.writes[Symbol.asyncDispose]()]);
  }
}
