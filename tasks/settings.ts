/** Rewrites `.env.example` and the README's table of settings from `config.ts`; `tests/tables/config_test.ts` compares. */
import { exampleSettings, settingsTable } from "../config.ts";

const ROOT = new URL("../", import.meta.url);
const TABLE = /(<!-- settings -->\n)[\s\S]*?(<!-- \/settings -->)/;

await Deno.writeTextFile(new URL(".env.example", ROOT), exampleSettings());
const readme = await Deno.readTextFile(new URL("README.md", ROOT)).catch((error) => {
  if (error instanceof Deno.errors.NotFound) return "<!-- settings -->\n<!-- /settings -->\n";
  throw error;
});
if (!TABLE.test(readme)) throw new Error("README.md has no part between <!-- settings --> and <!-- /settings -->");
const table = settingsTable();
await Deno.writeTextFile(
  new URL("README.md", ROOT),
  readme.replace(TABLE, (_, begin, end) => `${begin}\n${table}\n\n${end}`),
);
