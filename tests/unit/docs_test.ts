/** What the documents say of the code is still there. */
import assert from "node:assert/strict";
import { LIMITS } from "../../routes/http/rate_limit.ts";
import { problemsTable } from "../../tasks/problems_table.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

Deno.test("docs/limits.md names constants and files that exist", async () => {
  const rows = (await read("docs/limits.md")).split("\n").filter((line) => line.startsWith("| "));
  let named = 0;
  for (const row of rows) {
    const where = row.split("|").at(-2)!;
    const files = [...where.matchAll(/`([\w/]+\.(?:ts|js))`/g)].map(([, file]) => file!);
    const texts = await Promise.all(files.map(read));
    for (const [, constant] of where.matchAll(/`([A-Z][A-Z_]+)`/g)) {
      // Without a file it is a setting.
      const places = texts.length > 0 ? texts : [await read("config.ts")];
      assert.ok(places.some((text) => text.includes(constant!)), `${constant} is not in ${files}: ${row}`);
      named++;
    }
  }
  assert.ok(named > 50, `only ${named} constants were found: is the table another one?`);
});

Deno.test("docs/limits.md has every rate limit with its numbers", async () => {
  const text = await read("docs/limits.md");
  for (const [name, { limit, windowS }] of Object.entries(LIMITS)) {
    const told = `| \`${name}\` | ${limit.toLocaleString("en")} in ${windowS} s |`;
    assert.ok(text.includes(told), `expected a row that begins with: ${told}`);
  }
});

Deno.test("docs/api.md has every problem", async () => {
  const part = /<!-- problems -->([\s\S]*?)<!-- \/problems -->/.exec(await read("docs/api.md"))?.[1]?.trim();
  assert.equal(part, problemsTable(), "run: deno task settings");
});

Deno.test("Shell examples have no comments: an interactive zsh would run them", async () => {
  let blocks = 0;
  for (const file of ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/api.md", "docs/limits.md"]) {
    for (const [, block] of (await read(file)).matchAll(/```(?:sh|bash)\n([\s\S]*?)```/g)) {
      assert.doesNotMatch(block!, /(^|\s)#/, `${file}:\n${block}`);
      blocks++;
    }
  }
  assert.ok(blocks > 5, `only ${blocks} examples were found`);
});

Deno.test("Links between the documents lead somewhere", async () => {
  const decisions = [...Deno.readDirSync(new URL("docs/decisions/", ROOT))].map(({ name }) => `docs/decisions/${name}`);
  const files = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/api.md", "docs/limits.md", ...decisions];
  for (const file of files) {
    for (const [, target] of (await read(file)).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      const path = new URL(target!, new URL(file, ROOT));
      assert.ok(await Deno.stat(path).catch(() => undefined), `${file}: "${target}" leads nowhere`);
    }
  }
});
