import pg from "../../db/pg.ts";
import { SETTINGS } from "../../db/postgres.ts";
import { type Param, type Sql } from "../../db/sql.ts";
import { encodeParam, parserOf } from "../../db/values.ts";

/** Longer than the pool's timeout, because a task can wait. */
const CONNECT_TIMEOUT_MS = 10_000;

/** A dedicated connection: a pool would spread a transaction's statements over several. */
export async function connectDedicated(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "rookery-task",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    options: `${SETTINGS} -c client_encoding=UTF8`,
    types: { getTypeParser: parserOf } as pg.CustomTypesConfig,
  });
  // Queries report their own errors. Without a handler, a lost server would end the process.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** `Sql` inside the open transaction of a connection. A failed script is rolled back on its own. */
export class TransactionSql implements Sql {
  constructor(private readonly client: pg.Client) {}

  async query<Row>(text: string, params: readonly Param[] = []): Promise<Row[]> {
    return (await this.client.query({ text, values: params.map(encodeParam) })).rows as Row[];
  }

  execute<Row>(text: string, params: readonly Param[] = []): Promise<Row[]> {
    return this.query(text, params);
  }

  async script(text: string): Promise<void> {
    await this.client.query("savepoint script");
    try {
      await this.client.query(`${text}\n;release savepoint script`);
    } catch (error) {
      await this.client.query("rollback to savepoint script");
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
