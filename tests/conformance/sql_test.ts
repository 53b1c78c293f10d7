import { openTestDatabase } from "../support/database.ts";
import { sqlSuite } from "./sql_suite.ts";

sqlSuite("Postgres", () => openTestDatabase({ migrated: false, max: 4 }));
