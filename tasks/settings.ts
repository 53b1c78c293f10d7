/**
 * Rewrites generated documents: settings of `config.ts`, problems of `lib/errors.ts`, tasks of `tasks/commands/`. Tests
 * compare them.
 */
import { readCommandLine } from "../lib/command_line.ts";
import { settings } from "./commands/plain.ts";
import { exampleSettings, settingsTable } from "./settings_table.ts";
import { problemsTable } from "./problems_table.ts";
import { tasksTable } from "./tasks_table.ts";

const ROOT = new URL("../", import.meta.url);

readCommandLine(settings);
await Deno.writeTextFile(new URL(".env.example", ROOT), exampleSettings());
await rewrite("docs/settings.md", "settings", settingsTable());
await rewrite("docs/api.md", "problems", problemsTable());
await rewrite("docs/tasks.md", "tasks", tasksTable());

/** Puts `table` between `<!-- mark -->` and `<!-- /mark -->`. */
async function rewrite(file: string, mark: string, table: string): Promise<void> {
  const path = new URL(file, ROOT);
  const part = new RegExp(`(<!-- ${mark} -->\n)[\\s\\S]*?(<!-- /${mark} -->)`);
  const text = await Deno.readTextFile(path);
  if (!part.test(text)) throw new Error(`${file} has no part between <!-- ${mark} --> and <!-- /${mark} -->`);
  await Deno.writeTextFile(path, text.replace(part, (_, begin, end) => `${begin}\n${table}\n\n${end}`));
}
