import { openTestDatabase } from "../support/database.ts";
import { kvSuite } from "./kv_suite.ts";

kvSuite("Postgres", () => openTestDatabase({ max: 12 }));
