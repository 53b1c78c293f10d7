/**
 * What the image is built from: the files that `.dockerignore` leaves, the packages that the Dockerfile loads, and the
 * entry point, which may load nothing. Needs the npm registry.
 */
import assert from "node:assert/strict";
import { ROOT } from "../support/sources.ts";

/** One that loads the packages of each kind; the others load some of these. */
const COMMANDS = [["migrate", "--help"], ["backup", "--help"], ["kv", "get", "--help"], ["vk:fake", "--help"]];

Deno.test("The packages that the Dockerfile loads are enough for the tasks in the image", async () => {
  const home = await Deno.makeTempDir({ prefix: "rookery-image-" });
  try {
    const app = `${home}/app`;
    await copyProject(app);
    const [, load] = /^RUN (deno [^\\\n]*)/m.exec(await Deno.readTextFile(`${app}/Dockerfile`))!;
    const env = { DENO_DIR: `${home}/deno`, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
    await succeed("sh", ["-c", load!], { cwd: app, env });
    for (const args of COMMANDS) {
      const output = await succeed("sh", ["docker/entrypoint.sh", ...args], { cwd: app, env });
      assert.match(output, /usage: deno task/, args.join(" "));
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

/** Without what `.dockerignore` names. */
async function copyProject(target: string): Promise<void> {
  const ignored = new Set((await Deno.readTextFile(new URL(".dockerignore", ROOT))).trim().split("\n"));
  await Deno.mkdir(target);
  const kept = [...Deno.readDirSync(ROOT)].map(({ name }) => name).filter((name) => !ignored.has(name));
  await succeed("cp", ["-r", ...kept, target], { cwd: ROOT.pathname });
}

async function succeed(program: string, args: string[], options: Deno.CommandOptions): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, ...options }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, output);
  return output;
}
