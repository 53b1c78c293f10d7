import assert from "node:assert/strict";
import { connectPglitePort, DatabaseLocked, openPglite } from "../../db/pglite.ts";
import { SqlError } from "../../db/sql.ts";
import { freshDataDir, openTestDatabase } from "../support/pglite.ts";

const PGLITE = import.meta.resolve("../../db/pglite.ts");
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

Deno.test("PGlite refuses a folder that is open already, and says in which process", async () => {
  await using folder = await freshDataDir();
  await using _open = await openPglite(folder.path);
  await assert.rejects(openPglite(folder.path), (error) => {
    assert.ok(error instanceof DatabaseLocked);
    assert.equal(error.pid, Deno.pid);
    assert.match(error.message, /stop that one/);
    return true;
  });
  const child = run(folder.path, `await openPglite(Deno.args[0]);`);
  const { code, stderr } = await child.output();
  assert.notEqual(code, 0);
  assert.match(new TextDecoder().decode(stderr), new RegExp(`DatabaseLocked: .* is open in process ${Deno.pid};`));
});

Deno.test("PGlite keeps what was acknowledged before a kill -9, and opens again at once", async () => {
  await using folder = await freshDataDir();
  const child = run(
    folder.path,
    `const sql = await openPglite(Deno.args[0]);
     await sql.script("create table t (id int primary key)");
     for (let i = 1;; i++) {
       await sql.query("insert into t values ($1)", [i], "insert");
       Deno.stdout.writeSync(new TextEncoder().encode(i + "\\n"));
     }`,
  ).spawn();
  let told = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    told += chunk;
    if (told.split("\n").length > 200) child.kill("SIGKILL");
  }
  await child.status;
  await child.stderr.cancel();
  const last = Number(told.trimEnd().split("\n").at(-1));
  await using sql = await openPglite(folder.path);
  const [row] = await sql.query<{ n: number; last: number }>("select count(*) n, max(id) as last from t");
  assert.ok(row && row.n === row.last && row.last >= last, `acknowledged ${last}, found ${JSON.stringify(row)}`);
});

Deno.test("PGlite serves another worker through a port", async () => {
  await using sql = await openTestDatabase();
  await sql.script("create table t (id int)");
  const source = `import { connectPglitePort } from ${JSON.stringify(PGLITE)};
    self.onmessage = async ({ data: port }) => {
      await using sql = connectPglitePort(port);
      await sql.query("insert into t values ($1)", [7]);
      self.postMessage(await sql.query("select id from t"));
    };`;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: "module" });
  const port = sql.port();
  const answer = new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
  worker.postMessage(port, [port]);
  assert.deepEqual(await answer, [{ id: 7 }]);
  worker.terminate();
  assert.deepEqual(await sql.query("select id from t"), [{ id: 7 }]);
});

Deno.test("PGlite answers every call when it is closed, under way or later", async () => {
  const sql = await openTestDatabase();
  const port = connectPglitePort(sql.port());
  await port.query("select 1");
  const calls = Array.from({ length: 20 }, () => port.query("select 1").catch((error) => error));
  await sql[Symbol.asyncDispose]();
  for (const result of await Promise.all(calls)) {
    if (!Array.isArray(result)) assert.ok(result instanceof SqlError && result.kind !== "fault", `${result}`);
  }
  for (const each of [sql, port]) {
    await assert.rejects(each.query("select 1"), (error) => error instanceof SqlError && error.kind === "unavailable");
  }
  assert.equal(await sql.ended, "The database was closed");
});

Deno.test("PGlite that cannot open its folder says so and lets go of the lock", async () => {
  await using folder = await freshDataDir();
  await Deno.writeTextFile(`${folder.path}/postgres/PG_VERSION`, "9.6\n");
  await assert.rejects(openPglite(folder.path), (error) => error instanceof SqlError && error.kind === "unavailable");
  await Deno.writeTextFile(`${folder.path}/postgres/PG_VERSION`, "18\n");
  await using sql = await openPglite(folder.path);
  assert.deepEqual(await sql.query("select 1 as one"), [{ one: 1 }]);
});

function run(folder: string, source: string): Deno.Command {
  const code = `import { openPglite } from ${JSON.stringify(PGLITE)};\n${source}`;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", CONFIG, `data:text/javascript,${encodeURIComponent(code)}`, folder],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });
}

Deno.test("PGlite makes its database at the first time, in memory where it has no folder", async () => {
  await using sql = await openPglite();
  assert.deepEqual(await sql.query("select 1 as one"), [{ one: 1 }]);
});
