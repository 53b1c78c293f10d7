/** The definitions of `tasks/commands/`, as the documents and `--help` show them. */
import assert from "node:assert/strict";
import { parseSync } from "@optique/core/parser";
import { extractCommandNames } from "@optique/core/usage";
import { COMMANDS } from "../../tasks/commands/all.ts";
import { TASK_NAMES } from "../../tasks/commands/define.ts";

/** Deno reads the command lines of these. */
const DENO = ["fmt", "lint", "check"];

Deno.test("Every task of deno.json has a definition", () => {
  assert.deepEqual([...COMMANDS.keys()].sort(), TASK_NAMES.filter((name) => !DENO.includes(name)).sort());
});

for (const { name, program, parser, examples } of COMMANDS.values()) {
  Deno.test(`The examples of deno task ${name} are valid, with one for each of its commands`, () => {
    for (const example of examples) {
      const [, args] = example.split(program);
      assert.ok(args !== undefined, example);
      // As a shell splits them; the examples have single quotes only.
      const words = [...args.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
      const result = parseSync(parser, words);
      assert.ok(result.success, `${example}: ${Deno.inspect(result)}`);
    }
    for (const verb of extractCommandNames(parser.usage)) {
      assert.ok(examples.some((each) => `${each} `.startsWith(`${program} ${verb} `)), `${verb} has no example`);
    }
  });
}
