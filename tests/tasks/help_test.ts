/** Every task of `deno.json` prints its usage and rejects unknown arguments before it does anything. */
import assert from "node:assert/strict";
import { dirname } from "node:path";

const ROOT = new URL("../../", import.meta.url);
const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as {
  tasks: Record<string, { description: string; command: string }>;
};
/** Tasks that are commands of Deno itself. */
const DENO = ["fmt", "lint", "check"];
/** Those for people who change the project: they have no place in the image. */
const DEVELOPMENT = [
  ...DENO,
  "cluster",
  "dev",
  "test",
  "test:tasks",
  "test:browser",
  "ok",
  "bench",
  "chaos",
  "settings",
  "statements",
];
/** Addresses that do not exist, so that a task cannot reach a database or a data folder. */
const NOWHERE = { DATA_DIR: "/nonexistent/data", DATABASE_URL: "postgres://nobody@127.0.0.1:9/none", SECRET_KEY: "s" };

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

async function run(program: string, args: string[]): Promise<Result> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: ROOT,
    env: { ...NOWHERE, NO_COLOR: "1", PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}` },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

for (const [name] of Object.entries(tasks).filter(([name]) => !DENO.includes(name))) {
  Deno.test(`deno task ${name} --help prints its usage; an unknown option exits with 2`, async () => {
    const help = await run(Deno.execPath(), ["task", "--quiet", name, "--help"]);
    assert.equal(help.code, 0, help.stderr);
    assert.match(help.stdout, new RegExp(`^usage: deno task ${name}\\b`));
    assert.ok(help.stdout.includes(`\n${tasks[name]!.description}\n`), help.stdout);
    assert.match(help.stdout, new RegExp(`^Examples:\n {2}deno task ${name}`, "m"));
    assert.equal(help.stderr, "");
    const wrong = await run(Deno.execPath(), ["task", "--quiet", name, "--no-such-option"]);
    assert.equal(wrong.code, 2, wrong.stdout + wrong.stderr);
    assert.equal(wrong.stdout, "");
    assert.match(wrong.stderr, new RegExp(`^[^\n]*"--no-such-option"[^\n]*\\(usage: deno task ${name} --help\\)\n$`));
  });
}

/** Arguments, with the error. */
const MISTAKES: [args: string[], named: RegExp][] = [
  [["jobs", "lst"], /"lst"\. Did you mean `list`\?/],
  [["jobs", "list", "--knd", "email"], /"--knd"\. Did you mean `--kind`\?/],
  [["jobs", "list", "asleep"], /"asleep".*"waiting"|"waiting".*"asleep"/],
  [["jobs", "retry"], /--all/],
  [["jobs", "retry", "--all", "x"], /"--all" and "x"/],
  [["keys"], /list, rotate and reseal/],
  [["kv", "gte"], /"gte"/],
  [["kv", "put", "a"], /JSON/],
  [["demo", "--users", "2"], /--users/],
  [["demo", "--admin-login", "root"], /--admin-password/],
  [["admin", "grant", "robin", "king"], /"king"/],
  [["restore"], /FOLDER/],
  [["bench", "fed"], /"fed"/],
  [["vk:fake", "--port", "65536"], /--port/],
  [["cluster", "--nodes", "0"], /--nodes/],
  [["cluster", "--every", "15s"], /--kill/],
  [["cluster", "--kill", "--every", "soon"], /15s or 2m.*"soon"/],
];
for (const [args, named] of MISTAKES) {
  Deno.test(`deno task ${args.join(" ")} exits with 2 and one line with the error`, async () => {
    const { code, stdout, stderr } = await run(Deno.execPath(), ["task", "--quiet", ...args]);
    assert.deepEqual([code, stdout], [2, ""], stderr);
    assert.match(stderr, /^[^\n]+\n$/);
    assert.match(stderr, named);
  });
}

Deno.test("A sub-command has its own help", async () => {
  const { code, stdout } = await run(Deno.execPath(), ["task", "--quiet", "jobs", "list", "--help"]);
  assert.equal(code, 0);
  assert.match(stdout, /^usage: deno task jobs list \[--kind KIND\] \[STATE\]\n/);
  assert.match(stdout, /default: "dead"/);
  assert.match(stdout, /^Example: deno task jobs list /m);
});

Deno.test("Every task for operators runs in the image", async () => {
  for (const name of Object.keys(tasks).filter((name) => !DEVELOPMENT.includes(name))) {
    const { code, stdout, stderr } = await run("sh", ["docker/entrypoint.sh", name, "--help"]);
    assert.equal(code, 0, `${name}: ${stderr}`);
    assert.match(stdout, /^usage: deno task /, name);
  }
});

Deno.test("The image distinguishes a role from a task of the same name, and refuses other names", async () => {
  const task = await run("sh", ["docker/entrypoint.sh", "jobs", "list", "sleeping"]);
  assert.equal(task.code, 2);
  assert.match(task.stderr, /usage: deno task jobs/);
  // The role needs settings that are not here, and says so as the server does.
  const role = await run("sh", ["docker/entrypoint.sh", "jobs"]);
  assert.equal(role.code, 2);
  assert.match(role.stderr, /SECRET_KEY/);
  for (const args of [["storage", "list"], ["dev"], ["../main"], ["terminal"]]) {
    const { code, stderr } = await run("sh", ["docker/entrypoint.sh", ...args]);
    assert.equal(code, 2, args.join(" "));
    assert.notEqual(stderr, "");
  }
});
