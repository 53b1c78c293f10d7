import type { Sql } from "../../db/sql.ts";
import { until } from "./wait.ts";

/** Answers of one named statement, or the first ones, wait, once they were read, until they are let go. */
export class HeldStatement implements Disposable {
  #gate = Promise.withResolvers<void>();
  #query: Sql["query"];
  held = 0;

  constructor(private readonly sql: Sql, statement: string, most = Infinity) {
    this.#query = sql.query;
    const query = sql.query.bind(sql);
    sql.query = async <Row>(...[text, params, name]: Parameters<Sql["query"]>) => {
      const rows = await query<Row>(text, params, name);
      if (name === statement && this.held < most) {
        this.held++;
        await this.#gate.promise;
      }
      return rows;
    };
  }

  letGo(): void {
    this.sql.query = this.#query;
    this.#gate.resolve();
  }

  [Symbol.dispose](): void {
    this.letGo();
  }

  isHolding(): Promise<true> {
    return until("a statement that is held", async () => this.held > 0);
  }
}
