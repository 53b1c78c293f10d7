/** Rewrites what is told twice: the settings from `config.ts`, the problems from `lib/errors.ts`. Tests compare. */
import { takesNoArguments } from "../lib/command_line.ts";
import { exampleSettings, settingsTable } from "../config.ts";
import { problemsTable } from "./problems_table.ts";

const ROOT = new URL("../", import.meta.url);

takesNoArguments(`usage: deno task settings

Rewrites .env.example and the tables in docs/settings.md and docs/api.md from config.ts and lib/errors.ts.`);
await Deno.writeTextFile(new URL(".env.example", ROOT), exampleSettings());
await rewrite("docs/settings.md", "settings", settingsTable());
await rewrite("docs/api.md", "problems", problemsTable());

/** Puts `table` between `<!-- mark -->` and `<!-- /mark -->`. */
async function rewrite(file: string, mark: string, table: string): Promise<void> {
  const path = new URL(file, ROOT);
  const part = new RegExp(`(<!-- ${mark} -->\n)[\\s\\S]*?(<!-- /${mark} -->)`);
  const text = await Deno.readTextFile(path);
  if (!part.test(text)) throw new Error(`${file} has no part between <!-- ${mark} --> and <!-- /${mark} -->`);
  await Deno.writeTextFile(path, text.replace(part, (_, begin, end) => `${begin}\n${table}\n\n${end}`));
}
