/**
 * What the image is built from: the files that `.dockerignore` leaves, the packages that the Dockerfile loads, and the
 * entry point, which may load nothing and write nearly nothing. Needs the npm registry.
 */
import assert from "node:assert/strict";
import { freePort } from "../support/servers.ts";
import { ROOT } from "../support/sources.ts";

/** Together these load all packages of the tasks. */
const COMMANDS = [["migrate", "--help"], ["backup", "--help"], ["kv", "get", "--help"], ["vk:fake", "--help"]];

/**
 * As `compose.yaml` starts it: program and packages are read-only, the user has no rights and can gain none. Waits for
 * the health check, then ends it in order.
 */
const CONFINED = `set -eu
for folder in app deno; do
  mount --bind "$0/$folder" "$0/$folder"
  mount -o remount,ro,bind "$0/$folder"
done
cd "$0/app"
exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all sh -euc '
  ! touch here 2>/dev/null
  docker/entrypoint.sh server &
  tries=0
  until [ -e "$TMPDIR/rookery-check" ] && docker/healthcheck.sh 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ]
    sleep 0.1
  done
  kill "$!"
  wait "$!"'`;

Deno.test("What the Dockerfile loads is enough for tasks and server, with no right to change it", async () => {
  const home = await Deno.makeTempDir({ prefix: "rookery-image-" });
  try {
    await Deno.chmod(home, 0o755);
    const app = `${home}/app`;
    await Deno.mkdir(app);
    const dockerfile = await Deno.readTextFile(new URL("Dockerfile", ROOT));
    const [, files, load] = /^COPY (deno[^\n]*) \.\/\nRUN (deno [^\\\n]*)$/m.exec(dockerfile)!;
    await succeed("cp", [...files!.split(" "), app], { cwd: ROOT.pathname });
    const env = { DENO_DIR: `${home}/deno`, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
    await succeed("sh", ["-c", load!], { cwd: app, env });
    await copyProject(app);
    for (const args of COMMANDS) {
      const output = await succeed("sh", ["docker/entrypoint.sh", ...args], { cwd: app, env });
      assert.match(output, /usage: deno task/, args.join(" "));
    }
    // Only root can have mounts of its own.
    if (Deno.uid() !== 0) return;
    const writable = {
      DATA_DIR: `${home}/data`,
      TMPDIR: `${home}/tmp`,
      HOST: "127.0.0.1",
      PORT: `${await freePort()}`,
    };
    for (const folder of [writable.DATA_DIR, writable.TMPDIR]) {
      await Deno.mkdir(folder);
      await Deno.chown(folder, 1000, 1000);
    }
    const output = await succeed("unshare", ["--mount", "sh", "-c", CONFINED, home], { env: { ...env, ...writable } });
    assert.match(output, /^Rookery is ready at /m);
    assert.doesNotMatch(output, /read-only|permission denied|warning/i);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("The image has the Deno of CI, exact base images, an unprivileged user and a health check", async () => {
  const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));
  const dockerfile = await read("Dockerfile");
  const version = /^DENO=(deno@[\d.]+)$/m.exec(await read(".ci/run"))![1]!;
  assert.ok(dockerfile.includes(`npm install --global ${version} `));
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base!);
  assert.equal(bases.length, 2);
  for (const base of bases) assert.match(base, /^\w+:\d+\.\d+(\.\d+)?(-trixie)?-slim$/);
  assert.match(dockerfile, /^USER [1-9]\d*:[1-9]\d*$/m);
  assert.match(dockerfile, /^HEALTHCHECK .*CMD \["\/app\/docker\/healthcheck.sh"\]$/m);
  assert.ok(dockerfile.lastIndexOf("\nUSER ") > dockerfile.lastIndexOf("\nRUN "));
});

/** Without what `.dockerignore` names. */
async function copyProject(target: string): Promise<void> {
  const ignored = new Set((await Deno.readTextFile(new URL(".dockerignore", ROOT))).trim().split("\n"));
  const kept = [...Deno.readDirSync(ROOT)].map(({ name }) => name).filter((name) => !ignored.has(name));
  await succeed("cp", ["-r", ...kept, target], { cwd: ROOT.pathname });
}

async function succeed(program: string, args: string[], options: Deno.CommandOptions): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, ...options }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, output);
  return output;
}
