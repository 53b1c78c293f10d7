import { connectPostgres } from "../../db/postgres.ts";
import { openTestDatabase } from "../support/pglite.ts";
import { freshDatabase } from "../support/servers.ts";
import { searchRowsSuite } from "./search_rows_suite.ts";
import { searchSuite } from "./search_suite.ts";

searchSuite("PGlite", openTestDatabase);
searchRowsSuite("PGlite", openTestDatabase);

const postgres = Deno.env.get("TEST_POSTGRES_URL");
// One connection, so that what a search left behind on it would show.
const open = async () => connectPostgres(await freshDatabase(postgres!), { max: 1 });
if (postgres) {
  searchSuite("Postgres", open);
  searchRowsSuite("Postgres", open);
}
