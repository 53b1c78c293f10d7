/** What the documents name in the code exists. */
import assert from "node:assert/strict";
import { LIMITS } from "../../routes/http/rate_limit.ts";
import { projectFiles, readSource } from "../support/sources.ts";
import { problemsTable } from "../../tasks/problems_table.ts";
import { tasksTable } from "../../tasks/tasks_table.ts";

const ROOT = new URL("../../", import.meta.url);
const MAX_LINE = 120;
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

Deno.test("docs/limits.md names constants and files that exist", async () => {
  const rows = (await read("docs/limits.md")).split("\n").filter((line) => line.startsWith("| "));
  let named = 0;
  for (const row of rows) {
    const where = row.split("|").at(-2)!;
    const files = [...where.matchAll(/`([\w/]+\.(?:ts|js))`/g)].map(([, file]) => file!);
    const texts = await Promise.all(files.map(read));
    for (const [, constant] of where.matchAll(/`([A-Z][A-Z_]+)`/g)) {
      // A row without a file is about a setting.
      const places = texts.length > 0 ? texts : [await read("config.ts")];
      assert.ok(places.some((text) => text.includes(constant!)), `${constant} is not in ${files}: ${row}`);
      named++;
    }
  }
  assert.ok(named > 50, `only ${named} constants were found: is the table another one?`);
});

Deno.test("docs/limits.md has each limit once", async () => {
  const rows = (await read("docs/limits.md")).split("\n").filter((line) => line.startsWith("| ") && line.includes("`"));
  const limits = rows.map((row) => row.split("|").at(-2)!.trim()).filter((limit) => / in `/.test(limit));
  for (const limit of limits) assert.equal(limits.filter((other) => other === limit).length, 1, `twice: ${limit}`);
});

Deno.test("docs/limits.md has every rate limit with its numbers", async () => {
  const text = await read("docs/limits.md");
  for (const [name, { limit, windowS }] of Object.entries(LIMITS)) {
    const row = `| \`${name}\` | ${limit.toLocaleString("en")} in ${windowS} s |`;
    assert.ok(text.includes(row), `expected a row that begins with: ${row}`);
  }
});

Deno.test("docs/api.md has every problem", async () => {
  const part = /<!-- problems -->([\s\S]*?)<!-- \/problems -->/.exec(await read("docs/api.md"))?.[1]?.trim();
  assert.equal(part, problemsTable(), "run: deno task settings");
});

Deno.test("docs/tasks.md has every task with its commands and arguments", async () => {
  const part = /<!-- tasks -->([\s\S]*?)<!-- \/tasks -->/.exec(await read("docs/tasks.md"))?.[1]?.trim();
  assert.equal(part, tasksTable(), "run: deno task settings");
});

Deno.test("docs/monitoring.md has every metric, and no other", async () => {
  const sources = projectFiles(".ts").filter((file) => !file.startsWith("tests/")).map(readSource).join("\n");
  const made = [
    ...[...sources.matchAll(/\b(counter|histogram|boundHistogram)(?:<[^>]+>)?\(\s*"(\w+)"/g)].map(([, type, name]) =>
      `${type === "counter" ? type : "histogram"} ${name}`
    ),
    ...[...sources.matchAll(/\b(?:sampled|standard)\(\s*"(gauge|counter)",\s*"(\w+)"/g)].map(([, type, name]) =>
      `${type} ${name}`
    ),
  ];
  const documented = [
    ...(await read("docs/monitoring.md")).matchAll(/^\| `(\w+)(?:\{[\w,]+\})?` \| (gauge|counter|histogram) \|/gm),
  ];
  assert.deepEqual(documented.map(([, name, type]) => `${type} ${name}`).sort(), [...new Set(made)].sort());
  assert.ok(made.length > 40, `only ${made.length} metrics were found`);
});

Deno.test("Shell examples have no comments: an interactive zsh would run them", async () => {
  let blocks = 0;
  for (const { file, text } of await documents()) {
    for (const [, block] of text.matchAll(/```(?:sh|bash)\n([\s\S]*?)```/g)) {
      assert.doesNotMatch(block!, /(^|\s)#/, `${file}:\n${block}`);
      blocks++;
    }
  }
  assert.ok(blocks > 5, `only ${blocks} examples were found`);
});

Deno.test("Links between the documents lead to a file, and to a heading in it", async () => {
  let links = 0;
  for (const { file, text } of await documents()) {
    for (const [, path = "", anchor] of prose(text).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const target = path === "" ? new URL(file, ROOT) : new URL(path, new URL(file, ROOT));
      assert.ok(await exists(target), `${file}: "${path}" leads nowhere`);
      if (anchor !== undefined) {
        assert.ok(
          headings(await Deno.readTextFile(target)).has(anchor),
          `${file}: "${path}" has no heading "#${anchor}"`,
        );
      }
      links++;
    }
  }
  assert.ok(links > 50, `only ${links} links were found`);
});

Deno.test("A document that begins with its contents lists each of its parts, in their order", async () => {
  let lists = 0;
  for (const { file, text } of await documents()) {
    const [contents] = /^- \[[^\]]+\]\(#[\s\S]*/m.exec(text.split("\n## ")[0]!) ?? [];
    if (contents === undefined) continue;
    const listed = [...contents.matchAll(/\]\(#(\S+)\)/g)].map(([, anchor]) => anchor!);
    const parts = [...headings([...prose(text).matchAll(/^## .+$/gm)].join("\n"))];
    assert.deepEqual(listed.filter((anchor) => parts.includes(anchor)), parts, file);
    lists++;
  }
  assert.ok(lists > 5, `only ${lists} lists of contents were found`);
});

Deno.test("docs/README.md links every document", async () => {
  const front = await read("docs/README.md");
  for (const { file } of await documents()) {
    if (file === "docs/README.md") continue;
    const link = file.startsWith("docs/") ? file.slice("docs/".length) : `../${file}`;
    assert.ok(front.includes(`](${link})`), `docs/README.md has no link to ${file}`);
  }
});

Deno.test("Files and folders that the documents name exist", async () => {
  const folders = new Set([...Deno.readDirSync(ROOT)].filter((entry) => entry.isDirectory).map(({ name }) => name));
  const packages = Object.keys(JSON.parse(await read("deno.json")).imports);
  let named = 0;
  // The changelog also names files that were removed since.
  for (const { file, text } of (await documents()).filter(({ file }) => file !== "CHANGELOG.md")) {
    for (const [, path] of prose(text).matchAll(/`([\w.@-]+(?:\/[\w.@-]+)*\/?)`/g)) {
      const inFolder = path!.includes("/") && folders.has(path!.split("/")[0]!);
      if (packages.includes(path!) || !inFolder && !/\.(ts|js|md|sql)$/.test(path!)) continue;
      const found = await exists(new URL(path!, ROOT)) || await exists(new URL(path!, new URL(file, ROOT)));
      assert.ok(found, `${file} names "${path}", which does not exist`);
      named++;
    }
  }
  assert.ok(named > 200, `only ${named} paths were found`);
});

Deno.test("Names that the documents place in a file are in that file", async () => {
  let named = 0;
  for (const { file, text } of await documents()) {
    for (const [, name, path] of prose(text).matchAll(/`([\w.]+)` (?:in|of)\s`([\w/]+\.(?:ts|js|css))`/g)) {
      assert.ok((await read(path!)).includes(name!), `${file}: "${name}" is not in ${path}`);
      named++;
    }
  }
  assert.ok(named > 100, `only ${named} names were found`);
});

Deno.test("Tasks that the documents name exist", async () => {
  const tasks = Object.keys(JSON.parse(await read("deno.json")).tasks);
  let named = 0;
  for (const { file, text } of (await documents()).filter(({ file }) => file !== "CHANGELOG.md")) {
    for (const [, task] of text.matchAll(/deno task (?:--quiet )?([a-z]+(?::[a-z]+)?)/g)) {
      assert.ok(tasks.includes(task!), `${file}: there is no task "${task}"`);
      named++;
    }
  }
  assert.ok(named > 30, `only ${named} tasks were found`);
});

Deno.test("Documents use the plain word", async () => {
  const plain: [RegExp, string][] = [
    [/\banew\b/i, "again"],
    [/\bwhoever\b/i, "the one who, a caller, a process …"],
    [/\bhears? of\b/i, "receives, learns"],
    [/\blies? sealed\b/i, "is encrypted"],
    [/\bseals?\b/i, "encrypts"],
    [/\be-mails?\b/i, "email"],
    [/\bwhatever came\b/i, "what was received"],
  ];
  for (const { file, text } of await documents()) {
    for (const line of withoutTables(prose(text)).split("\n")) {
      for (const [word, better] of plain) assert.doesNotMatch(line, word, `${file}: write "${better}": ${line}`);
    }
  }
});

Deno.test("Every decision has a context, a decision and consequences", async () => {
  for (const { file, text } of await documents()) {
    if (!file.startsWith("docs/decisions/")) continue;
    for (const part of ["context", "decision", "consequences"]) {
      assert.ok(headings(text).has(part), `${file} has no heading "${part}"`);
    }
  }
});

Deno.test("Lines of the documents have at most 120 characters, tables and code excepted", async () => {
  for (const { file, text } of await documents()) {
    for (const line of prose(text).split("\n")) {
      assert.ok(line.startsWith("|") || line.length <= MAX_LINE, `${file}: ${line.length} characters: ${line}`);
    }
  }
});

async function documents(): Promise<{ file: string; text: string }[]> {
  const files = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "deploy/kubernetes/README.md"];
  for (const folder of ["docs/", "docs/decisions/"]) {
    for (const { name } of Deno.readDirSync(new URL(folder, ROOT))) if (name.endsWith(".md")) files.push(folder + name);
  }
  return await Promise.all(files.map(async (file) => ({ file, text: await read(file) })));
}

/** Without blocks of code. */
function prose(text: string): string {
  return text.replace(/^ *```[\s\S]*?^ *```$/gm, "");
}

/** Tables can be generated from the code, where the words are checked. */
function withoutTables(text: string): string {
  return text.replace(/^\|.*$/gm, "");
}

/** The anchors of a document's headings, as GitHub forms them. */
function headings(text: string): Set<string> {
  return new Set(
    [...prose(text).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title!.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

async function exists(url: URL): Promise<boolean> {
  return await Deno.stat(url).then(() => true, () => false);
}
