/**
 * A first start with an empty cache and an empty data folder, by the README's command. Needs the npm registry.
 */
import assert from "node:assert/strict";

import { boundToParent, freePort } from "../support/servers.ts";
import { until } from "../support/wait.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const MAX_PACKAGES = 64;

Deno.test("A first start loads few packages, reports its steps and has no warnings", async () => {
  const home = await Deno.makeTempDir({ prefix: "rookery-first-" });
  await Deno.chmod(home, 0o755);
  const port = await freePort();
  const [program, args] = boundToParent([Deno.execPath(), "task", "start"]);
  const process = new Deno.Command(program, {
    args,
    cwd: ROOT,
    // With the proxy and certificate settings of the machine.
    env: {
      DENO_DIR: `${home}/cache`,
      DATA_DIR: `${home}/data`,
      PORT: String(port),
      NO_COLOR: "1",
      DENO_NO_UPDATE_CHECK: "1",
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  let output = "";
  const reading = [process.stdout, process.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) output += text;
  });
  let ended = false;
  const status = process.status.finally(() => ended = true);
  try {
    await until("it is ready", () => ended || /Rookery is ready at/.test(output), { timeoutMs: 120_000 });
    assert.ok(!ended, output);
    const health = await fetch(`http://127.0.0.1:${port}/healthz`);
    assert.deepEqual([health.status, (await health.json()).status], [200, "ok"]);
    const packages = await packagesIn(`${home}/cache/npm`);
    assert.ok(packages.length > 20, `only ${packages.length} packages were found`);
    assert.ok(packages.length <= MAX_PACKAGES, `${packages.length} packages:\n${packages.join("\n")}`);
    assert.match(output, /creating the embedded database/i, "a slow step is reported");
    assert.doesNotMatch(output, /warn/i);
  } finally {
    // The task's shell and the node are one group.
    try {
      Deno.kill(-process.pid, "SIGTERM");
    } catch {
      // It has ended already.
    }
    await status;
    await Promise.all(reading);
    await Deno.remove(home, { recursive: true });
  }
  assert.match(output, /The administrator is "admin" with the password/);
});

/** As `name@version`, from a cache whose folders are `<registry>/<name>/<version>`. */
async function packagesIn(folder: string, depth = 0): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory) continue;
    const path = `${folder}/${name}`;
    if (await Deno.stat(`${path}/package.json`).then(() => true, () => false)) {
      found.push(path.slice(path.indexOf("/npm/") + 5));
    } else if (depth < 4) found.push(...await packagesIn(path, depth + 1));
  }
  return found;
}
