import { openTestDatabase } from "../support/database.ts";
import { searchRowsSuite } from "./search_rows_suite.ts";
import { searchSuite } from "./search_suite.ts";

// One connection, so that settings left behind by a search would have an effect.
const open = () => openTestDatabase({ max: 1 });
searchSuite("Postgres", open);
searchRowsSuite("Postgres", open);
