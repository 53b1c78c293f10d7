import { connectPglitePort } from "../../db/pglite.ts";
import { connectPostgres } from "../../db/postgres.ts";
import { connectSqlSocket, serveSql } from "../../db/socket.ts";
import type { Sql } from "../../db/sql.ts";
import { openTestDatabase } from "../support/pglite.ts";
import { freshDatabase } from "../support/servers.ts";
import { sqlSuite } from "./sql_suite.ts";

const openEmpty = () => openTestDatabase({ migrated: false });
sqlSuite("PGlite", openEmpty);

sqlSuite("PGlite over a port", async () => {
  const database = await openEmpty();
  return owning(connectPglitePort(database.port()), database);
});

sqlSuite("Unix socket", async () => {
  const database = await openEmpty();
  const folder = await Deno.makeTempDir({ prefix: "rookery-test-" });
  const server = serveSql(database, `${folder}/socket`);
  return owning(connectSqlSocket(`${folder}/socket`), server, database);
});

const postgres = Deno.env.get("TEST_POSTGRES_URL");
if (postgres) sqlSuite("Postgres", async () => connectPostgres(await freshDatabase(postgres), { max: 4 }));

/** Closes what stands behind a connection with it. */
function owning(sql: Sql, ...behind: AsyncDisposable[]): Sql {
  return {
    query: (text, params, name) => sql.query(text, params, name),
    script: (text) => sql.script(text),
    async [Symbol.asyncDispose]() {
      for (const each of [sql, ...behind]) await each[Symbol.asyncDispose]();
    },
  };
}
