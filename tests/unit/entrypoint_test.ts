/**
 * The entry point of the image: what each command line starts. Every task of `deno.json` runs there or is for
 * development only. A fake Deno prints its arguments.
 */
import assert from "node:assert/strict";
import { ROOT } from "../support/sources.ts";

const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as {
  tasks: Record<string, { command: string }>;
};
/** These need the sources of the tests, a compiler, a working copy, or servers that the image does not have. */
const DEVELOPMENT = [
  "bench",
  "chaos",
  "check",
  "cluster",
  "dev",
  "fmt",
  "lint",
  "ok",
  "settings",
  "statements",
  "test",
  "test:browser",
  "test:tasks",
];
const ROLES = ["server", "jobs", "kv", "mail", "stats", "storage"];

interface Started {
  code: number;
  /** The program and its arguments. */
  command: string;
  roles: string;
  /** What the health check requests. */
  check: string;
  stderr: string;
}

async function start(...args: string[]): Promise<Started> {
  const home = await Deno.makeTempDir({ prefix: "rookery-entrypoint-" });
  try {
    const script = `#!/bin/sh\nif [ "$1" = eval ]; then echo /deno; else echo "$ROLES|$@"; fi\n`;
    await Deno.writeTextFile(`${home}/deno`, script, { mode: 0o755 });
    const { code, stdout, stderr } = await new Deno.Command("sh", {
      args: ["docker/entrypoint.sh", ...args],
      cwd: ROOT,
      clearEnv: true,
      env: { PATH: `${home}:${Deno.env.get("PATH")}`, TMPDIR: home, ROLES: "unset" },
    }).output();
    const [roles = "", words = ""] = new TextDecoder().decode(stdout).trim().split("|");
    const check = await Deno.readTextFile(`${home}/rookery-check`).catch(() => "");
    const command = words.replace(/^run .*--allow-run=\S+ /, "");
    return { code, command, roles, check: check.trim(), stderr: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("Every task of deno.json runs in the image, or is for development", async () => {
  for (const [name, { command }] of Object.entries(tasks)) {
    const file = command.split(" ").at(-1)!;
    const started = await start("task", name, "--option", "word");
    if (DEVELOPMENT.includes(name)) assert.deepEqual([started.code, started.command], [2, ""], name);
    else assert.deepEqual([started.code, started.command], [0, `${file} --option word`], name + started.stderr);
  }
  for (const name of DEVELOPMENT) assert.ok(name in tasks, `deno.json has no task "${name}"`);
});

Deno.test("Each role starts main.ts with its name in ROLES; the server keeps the ROLES it is given", async () => {
  for (const role of ROLES) {
    const { code, command, roles } = await start("role", role);
    assert.deepEqual([code, command, roles], [0, "main.ts", role === "server" ? "unset" : role]);
  }
});

const SHORT: [args: string[], command: string, roles: string][] = [
  [[], "main.ts", "unset"],
  [["server"], "main.ts", "unset"],
  [["server", "--help"], "main.ts --help", "unset"],
  [["start"], "main.ts", "unset"],
  [["jobs"], "main.ts", "jobs"],
  [["jobs", "list", "dead"], "tasks/jobs.ts list dead", "unset"],
  [["task", "jobs"], "tasks/jobs.ts", "unset"],
  [["kv"], "main.ts", "kv"],
  [["kv", "get", "a b"], "tasks/kv.ts get a b", "unset"],
  [["storage"], "main.ts", "storage"],
  [["moderation:verify"], "tasks/moderation_verify.ts", "unset"],
  [["vk:fake", "--port", "1"], "tasks/vk_fake.ts --port 1", "unset"],
];
for (const [args, command, roles] of SHORT) {
  Deno.test(`The image runs "${args.join(" ")}" as ${command} with ROLES=${roles}`, async () => {
    const started = await start(...args);
    assert.deepEqual([started.code, started.command, started.roles], [0, command, roles]);
  });
}

for (
  const args of [["role"], ["task"], ["role", "api"], ["role", "jobs", "list"], ["storage", "list"], [
    "task",
    "../main",
  ]]
) {
  Deno.test(`The image refuses "${args.join(" ")}" and names what it has`, async () => {
    const { code, command, stderr } = await start(...args);
    assert.deepEqual([code, command], [2, ""]);
    for (const name of ROLES) assert.match(stderr, new RegExp(`\\b${name}\\b`));
    for (const name of Object.keys(tasks).filter((name) => !DEVELOPMENT.includes(name))) {
      assert.match(stderr, new RegExp(`\\b${name}\\b`));
    }
  });
}

const CHECKS: Record<string, string> = {
  server: "http 8000 /readyz",
  kv: "http 8000 /readyz",
  storage: "http 8100 /healthz",
  stats: "http 8200 /healthz",
  mail: "banner 2525 220",
  jobs: "http 9464 /healthz",
};
Deno.test("A role defines its health check; a task has none", async () => {
  for (const [role, check] of Object.entries(CHECKS)) assert.equal((await start("role", role)).check, check);
  assert.equal((await start("task", "migrate")).check, "");
});
