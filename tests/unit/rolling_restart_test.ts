/** `docker/rolling_restart.sh`, with a fake Docker that keeps its containers in a folder and records all calls. */
import assert from "node:assert/strict";
import { ROOT } from "../support/sources.ts";

/** Containers are files; what is in them is their health. New ones are as the file `health` says. */
const DOCKER = `#!/bin/sh
set -eu
cd "$HOME/containers"
case "$*" in
  "compose ps --quiet api") ls ;;
  "compose up --detach --no-build --no-deps --no-recreate --scale api="*" api")
    for i in 1 2 3 4 5 6 7 8 9; do
      [ "$(ls | wc -l)" -lt "$(echo "$*" | sed 's/.*api=\\([0-9]*\\).*/\\1/')" ] || break
      [ -e "$HOME/gone/new$i" ] || [ -e "new$i" ] || cp "$HOME/health" "new$i"
    done
    ;;
  "inspect --format {{.State.Health.Status}} "*) cat "$4" ;;
  "logs --tail 20 "*) ;;
  "stop "*) echo stopped >"$2" ;;
  "rm "*) for last; do true; done; touch "$HOME/gone/$last"; rm "$last" ;;
  *) echo "unknown: $*" >&2; exit 9 ;;
esac
echo "$1 $2 $(cat * | grep -c healthy)" >>"$HOME/calls"
`;

interface Restarted {
  code: number;
  containers: string[];
  /** The fewest ready containers at any moment. */
  leastReady: number;
  stderr: string;
}

async function restart(old: string[], health = "healthy"): Promise<Restarted> {
  const home = await Deno.makeTempDir({ prefix: "rookery-rolling-" });
  try {
    for (const folder of ["containers", "gone", "bin"]) await Deno.mkdir(`${home}/${folder}`);
    for (const name of old) await Deno.writeTextFile(`${home}/containers/${name}`, "healthy\n");
    await Deno.writeTextFile(`${home}/health`, `${health}\n`);
    await Deno.writeTextFile(`${home}/bin/docker`, DOCKER, { mode: 0o755 });
    await Deno.writeTextFile(`${home}/bin/sleep`, "#!/bin/sh\n", { mode: 0o755 });
    const { code, stderr } = await new Deno.Command("docker/rolling_restart.sh", {
      cwd: ROOT,
      env: { HOME: home, PATH: `${home}/bin:${Deno.env.get("PATH")}`, READY_S: "3" },
    }).output();
    const calls = (await Deno.readTextFile(`${home}/calls`).catch(() => "")).trim().split("\n");
    const containers = [...Deno.readDirSync(`${home}/containers`)].map(({ name }) => name).sort();
    const leastReady = Math.min(...calls.map((line) => Number(line.split(" ").at(-1))));
    return { code, containers, leastReady, stderr: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

for (const old of [["old1"], ["old1", "old2", "old3"]]) {
  Deno.test(`A rolling restart of ${old.length} replaces each, and never has fewer that are ready`, async () => {
    const { code, containers, leastReady, stderr } = await restart(old);
    assert.equal(code, 0, stderr);
    assert.deepEqual(containers, old.map((_, i) => `new${i + 1}`));
    assert.equal(leastReady, old.length);
  });
}

Deno.test("A new container that does not become ready is removed, and the old ones go on", async () => {
  const { code, containers, stderr } = await restart(["old1", "old2"], "starting");
  assert.equal(code, 1);
  assert.match(stderr, /new1 is not ready after 3 seconds; it is removed, and old1 goes on/);
  assert.deepEqual(containers, ["old1", "old2"]);
});

Deno.test("Without a running container there is nothing to restart", async () => {
  const { code, stderr } = await restart([]);
  assert.equal(code, 1);
  assert.match(stderr, /docker compose up/);
});
