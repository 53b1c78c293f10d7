import { connectPostgres } from "../../db/postgres.ts";
import { openTestDatabase } from "../support/pglite.ts";
import { freshDatabase } from "../support/servers.ts";
import { kvSuite } from "./kv_suite.ts";

kvSuite("PGlite", openTestDatabase);

const postgres = Deno.env.get("TEST_POSTGRES_URL");
if (postgres) kvSuite("Postgres", async () => connectPostgres(await freshDatabase(postgres), { max: 12 }));
