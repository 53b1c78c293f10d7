/** The users of the embedded database's processes, access to it, and its end by Ctrl-C. */
import assert from "node:assert/strict";
import { removeFolder } from "../support/database.ts";
import { killAll, postgresOf, postmastersOf, serverOf, watchingServers } from "../support/embedded_server.ts";
import { NodeProcess, START } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { childrenOf } from "../support/processes.ts";

/** Changing users needs root. */
const asRoot = {
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  sanitizeOps: false,
  sanitizeResources: false,
};
const ROOT = new URL("../../", import.meta.url).pathname;
/** Parts of the project that a node does not need. */
const NOT_RUN = [".git", "backups", "bench", "data", "docs", "tests"];
const NOBODY = 65_534;
const OWN_GROUP = 65_432;
const AS_NOBODY = asUser(NOBODY);
/** CAP_DAC_READ_SEARCH */
const PASSES_FOLDERS = 1n << 2n;

Deno.test("Only the database's own user reaches it, and no port is open", asRoot, async () => {
  await using home = await reachableFolder();
  await using programs = await reachablePrograms();
  await using node = await NodeProcess.on(home, {});
  await makePeople(node, 1);
  assert.equal((await Deno.stat(`${home.path}/postgres.url`)).mode! & 0o777, 0o600);
  assert.equal((await Deno.stat(`${home.path}/postgres`)).mode! & 0o777, 0o700);
  const socket = `${home.path}/postgres/.s.PGSQL.5432`;
  assert.equal((await Deno.stat(socket)).mode! & 0o777, 0o700);
  const script = `try { await Deno.connect({ transport: "unix", path: ${JSON.stringify(socket)} }); console.log("in") }
    catch (error) { console.log(error.code ?? error.name) }`;
  const [program = "", ...args] = [...AS_NOBODY, programs.deno, "eval", script];
  const { stdout, stderr } = await new Deno.Command(program, { args, env: programs.env, cwd: "/" }).output();
  assert.match(new TextDecoder().decode(stdout), /^(EACCES|PermissionDenied)\n/, new TextDecoder().decode(stderr));
  assert.deepEqual(await portsOf(await postgresOf(home.path)), []);
});

Deno.test("Every user other than root can run everything", asRoot, async () => {
  await using home = await reachableFolder(NOBODY);
  await using programs = await reachablePrograms();
  await using node = await NodeProcess.on(home, programs.env, AS_NOBODY, programs.start);
  const [ada] = await makePeople(node, 1) as [Person];
  await ada.post("as another user");
  const { postmaster } = await serverOf(home.path);
  const { uids, capabilities } = await statusOf(postmaster);
  assert.deepEqual([uids, capabilities], [[NOBODY, NOBODY, NOBODY, NOBODY], 0n]);
  assert.equal((await node.stop()).code, 0);
  await node.restart();
  assert.equal((await ada.do("GET", `/pages/${ada.page_id}/posts`)).items.length, 1);
});

Deno.test("A folder of another user is refused with advice for users other than root", asRoot, async () => {
  await using home = await reachableFolder();
  await using programs = await reachablePrograms();
  {
    await using node = await NodeProcess.on({ path: home.path, [Symbol.asyncDispose]: async () => {} }, {});
    await node.stop();
  }
  await Deno.chown(home.path, NOBODY, NOBODY);
  await Deno.chown(`${home.path}/lock`, NOBODY, NOBODY);
  const place = { path: home.path, [Symbol.asyncDispose]: async () => {} };
  const starting = NodeProcess.on(place, programs.env, AS_NOBODY, programs.start);
  await assert.rejects(
    starting,
    new RegExp(`belongs to user \\d+, and this is user ${NOBODY}; .* chown -R ${NOBODY} `),
  );
});

Deno.test(
  "Root's database has only the right to traverse folders, and only if it needs it",
  asRoot,
  async () => {
    await using programs = await reachablePrograms();
    for (const isReachable of [false, true]) {
      await using home = await reachableFolder();
      const path = isReachable ? home.path : `${home.path}/hidden/data`;
      await Deno.mkdir(path, { recursive: true, mode: 0o700 });
      if (!isReachable) await Deno.chmod(`${home.path}/hidden`, 0o700);
      const env = { DENO_DIR: programs.env.DENO_DIR! };
      // The database can read the files made for it, also with a private umask.
      const umask = ["sh", "-c", 'umask 077; exec "$@"', "sh"];
      await using node = await NodeProcess.on({ path, [Symbol.asyncDispose]: async () => {} }, env, umask);
      const { uids, gids, groups, capabilities } = await statusOf((await serverOf(path)).postmaster);
      assert.ok(uids.every((uid) => uid > 0 && uid === uids[0]), String(uids));
      assert.deepEqual([gids, groups], [[OWN_GROUP, OWN_GROUP, OWN_GROUP, OWN_GROUP], []]);
      assert.equal(capabilities, isReachable ? 0n : PASSES_FOLDERS);
      assert.equal((await node.stop()).code, 0);
    }
  },
);

/** The capabilities of root in Docker. */
const CONTAINER =
  "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,sys_chroot,mknod,setfcap";

Deno.test(
  "Root of a container that cannot inspect other users' processes restarts after a kill",
  asRoot,
  async () => {
    await using home = await reachableFolder();
    await Deno.chmod(home.path, 0o700);
    const rights = CONTAINER.split(",").map((name) => `+${name}`).join(",");
    await using node = await NodeProcess.on(home, {}, ["setpriv", `--bounding-set=-all,${rights}`, "--"]);
    const [ada] = await makePeople(node, 1) as [Person];
    for (let round = 0; round < 3; round++) {
      await ada.post(`post ${round}`);
      const { postmaster, guard } = await serverOf(home.path);
      const twice = await watchingServers(home.path, async () => {
        if (round === 1) {
          // Only the next start can end it.
          const shells = (await childrenOf(guard)).filter(({ command }) => command.startsWith("sh "));
          killAll([node.pid, guard, ...shells.map(({ pid }) => pid)]);
        }
        await node.kill();
        if (round === 1) {
          assert.deepEqual(await postmastersOf(home.path), [postmaster], "the old postmaster still runs");
        }
        await node.restart();
      });
      assert.equal(twice, 0, "two servers on one folder");
    }
    assert.equal((await ada.do("GET", `/pages/${ada.page_id}/posts`)).items.length, 3);
  },
);

Deno.test("Root without the right to change its user is refused with a reason", asRoot, async () => {
  await using home = await reachableFolder();
  const starting = NodeProcess.on({ path: home.path, [Symbol.asyncDispose]: async () => {} }, {}, [
    "setpriv",
    "--bounding-set=-setuid,-setgid",
    "--",
  ]);
  await assert.rejects(starting, /this root cannot become another user .*; start Rookery as another user/);
});

Deno.test("A user without a name is refused with a reason", asRoot, async () => {
  await using home = await reachableFolder(54_321);
  await using programs = await reachablePrograms();
  const place = { path: home.path, [Symbol.asyncDispose]: async () => {} };
  const starting = NodeProcess.on(place, programs.env, asUser(54_321), programs.start);
  await assert.rejects(starting, /User 54321 has no name/);
});

Deno.test("Ctrl-C ends the node and its database cleanly", {
  ...asRoot,
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using home = await reachableFolder();
  await using node = await NodeProcess.on(home, {}, ["setsid"]);
  const [ada] = await makePeople(node, 1) as [Person];
  await ada.post("before the end");
  // The whole process group gets the signal, as from a terminal.
  Deno.kill(-node.pid, "SIGINT");
  const { code, ms } = await node.stop();
  assert.equal(code, 0, node.output);
  assert.ok(ms < 10_000, `it took ${Math.round(ms)} ms`);
  assert.deepEqual(await postgresOf(home.path), []);
  const log = await Deno.readTextFile(`${home.path}/postgres/postgres.log`);
  assert.match(log.trim().split("\n").at(-1)!, /database system is shut down$/);
  assert.doesNotMatch(node.output, /embedded Postgres exited/);
  await node.restart();
  const again = await Deno.readTextFile(`${home.path}/postgres/postgres.log`);
  assert.doesNotMatch(again, /was not properly shut down/);
});

/** Runs in a folder that everyone may enter, since the project may be in root's home. */
function asUser(uid: number): string[] {
  const change = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--"];
  return ["sh", "-c", 'cd / && exec "$@"', "sh", ...change];
}

/** A data folder of this or another user, in a folder that others may traverse. */
async function reachableFolder(owner = Deno.uid()!): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "rookery-test-" });
  await Deno.chmod(path, 0o755);
  if (owner !== Deno.uid()) await Deno.chown(path, owner, owner);
  return { path, [Symbol.asyncDispose]: () => removeFolder(path) };
}

interface Programs extends AsyncDisposable {
  deno: string;
  /** The folder of the packages for the user of the test. */
  env: Record<string, string>;
  /** The arguments of `deno task start`. */
  start: string[];
}

/** A copy of Deno, its cache and the project that everyone may read, since the originals may be in a private home. */
async function reachablePrograms(): Promise<Programs> {
  const path = await Deno.makeTempDir({ prefix: "rookery-deno-" });
  const { denoDir } = JSON.parse(await output(Deno.execPath(), "info", "--json")) as { denoDir: string };
  // Hard links where possible, since it is large.
  const copy = (from: string, to: string) =>
    output("sh", "-c", 'test ! -e "$1" || cp -al "$1" "$2" 2>/dev/null || cp -a "$1" "$2"', "sh", from, to);
  for (const name of ["npm", "gen", "remote"]) await copy(`${denoDir}/${name}`, path);
  await output("cp", "-L", Deno.execPath(), `${path}/deno`);
  const project = `${path}/project`;
  await Deno.mkdir(project);
  for await (const { name } of Deno.readDir(ROOT)) {
    if (!NOT_RUN.includes(name)) await output("cp", "-a", `${ROOT}${name}`, project);
  }
  await output("chmod", "-R", "a+rX", project);
  await output("chmod", "755", path, `${path}/deno`);
  await output("sh", "-c", 'find "$1" -type d -exec chown "$2" {} +', "sh", path, String(NOBODY));
  return {
    deno: `${path}/deno`,
    env: { DENO_DIR: path, HOME: path },
    start: [`${path}/deno`, ...START.map((word) => word === "main.ts" ? `${project}/main.ts` : word)],
    [Symbol.asyncDispose]: () => removeFolder(path),
  };
}

async function statusOf(
  pid: number,
): Promise<{ uids: number[]; gids: number[]; groups: number[]; capabilities: bigint }> {
  const text = await Deno.readTextFile(`/proc/${pid}/status`);
  const words = (name: string) => new RegExp(`^${name}:(.*)$`, "m").exec(text)![1]!.trim().split(/\s+/).filter(Boolean);
  return {
    uids: words("Uid").map(Number),
    gids: words("Gid").map(Number),
    groups: words("Groups").map(Number),
    capabilities: BigInt(`0x${words("CapEff")[0]}`),
  };
}

/** Internet sockets on which these processes listen. */
async function portsOf(pids: readonly number[]): Promise<string[]> {
  const found: string[] = [];
  for (const pid of pids) {
    const sockets = new Set<string>();
    for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
      const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode) sockets.add(inode);
    }
    for (const table of ["tcp", "tcp6", "udp", "udp6"]) {
      const lines = (await Deno.readTextFile(`/proc/${pid}/net/${table}`).catch(() => "")).split("\n").slice(1);
      found.push(...lines.filter((line) => sockets.has(line.trim().split(/\s+/)[9] ?? "")));
    }
  }
  return found;
}

async function output(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  assert.ok(success, `${program}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
