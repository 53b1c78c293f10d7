import pg from "../../db/pg.ts";
import { SETTINGS } from "../../db/postgres.ts";
import { type Param, type Sql } from "../../db/sql.ts";
import { encodeParam, parserOf } from "../../db/values.ts";

/** Longer than the pool waits: a task has nobody to answer. */
const CONNECT_TIMEOUT_MS = 10_000;

/** A connection of one's own: a pool would put a transaction's statements anywhere. */
export async function connectDedicated(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "rookery-task",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    options: `${SETTINGS} -c client_encoding=UTF8`,
    types: { getTypeParser: parserOf } as pg.CustomTypesConfig,
  });
  // What ran is told by its own error; without this a server that goes away would end the process.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** `Sql` inside the transaction that is open on a connection: a script that fails is undone by itself. */
export class TransactionSql implements Sql {
  constructor(private readonly client: pg.Client) {}

  async query<Row>(text: string, params: readonly Param[] = []): Promise<Row[]> {
    return (await this.client.query({ text, values: params.map(encodeParam) })).rows as Row[];
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
