import assert from "node:assert/strict";
import { connectSqlSocket, serveSql, socketPath } from "../../db/socket.ts";
import { type Sql, SqlError } from "../../db/sql.ts";

/** Echoes its parameters after `delay` milliseconds. */
function echo(delay = 0): Sql {
  return {
    async query<Row>(text: string, params: readonly unknown[] = []) {
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (text === "large") return [{ value: "x".repeat(40 * 1024 * 1024) }] as Row[];
      return [{ text, params }] as Row[];
    },
    async script() {},
    async [Symbol.asyncDispose]() {},
  };
}

Deno.test("The SQL socket is its owner's only", async () => {
  await using folder = await temporaryFolder();
  await using _server = serveSql(echo(), `${folder.path}/socket`);
  assert.equal((await Deno.stat(await socketPath(folder.path))).mode! & 0o777, 0o600);
});

Deno.test("The SQL socket works in a folder whose path is too long for one", async () => {
  await using folder = await temporaryFolder();
  const long = `${folder.path}/${"long/".repeat(30)}`.slice(0, -1);
  await Deno.mkdir(long, { recursive: true });
  let place: string;
  {
    await using _server = serveSql(echo(), `${long}/socket`);
    place = await socketPath(long);
    assert.ok(place.length < 100);
    assert.equal((await Deno.stat(place.replace(/\/socket$/, ""))).mode! & 0o777, 0o700);
    await using sql = connectSqlSocket(`${long}/socket`);
    assert.equal((await sql.query("hello")).length, 1);
  }
  await assert.rejects(Deno.stat(place), Deno.errors.NotFound);
});

Deno.test("The SQL socket takes the place of a dead server's", async () => {
  await using folder = await temporaryFolder();
  const dead = Deno.listen({ transport: "unix", path: `${folder.path}/socket` });
  dead.close();
  await using _server = serveSql(echo(), `${folder.path}/socket`);
  await using sql = connectSqlSocket(`${folder.path}/socket`);
  assert.equal((await sql.query("hello")).length, 1);
});

Deno.test("The SQL socket tells lost from unavailable, and connects again", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/socket`;
  await using sql = connectSqlSocket(path);
  assert.equal(await kindOf(sql.query("none yet")), "unavailable");
  const first = serveSql(echo(50), path);
  await sql.query("hello");
  const pending = kindOf(sql.query("under way"));
  await new Promise((resolve) => setTimeout(resolve, 10));
  await first[Symbol.asyncDispose]();
  assert.equal(await pending, "lost");
  assert.equal(await kindOf(sql.query("nobody")), "unavailable");
  await using _second = serveSql(echo(), path);
  assert.equal((await sql.query("again")).length, 1);
});

Deno.test("The SQL socket bounds statements and rows, and survives nonsense", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/socket`;
  await using _server = serveSql(echo(), path);
  await using sql = connectSqlSocket(path);
  assert.equal(await kindOf(sql.query("x", ["y".repeat(40 * 1024 * 1024)])), "fault");
  assert.equal(await kindOf(sql.query("large")), "fault");
  {
    using liar = await Deno.connect({ transport: "unix", path });
    await liar.write(new Uint8Array([255, 255, 255, 255, 0]));
    assert.equal(await liar.read(new Uint8Array(1)), null);
  }
  assert.equal((await sql.query("still here")).length, 1);
});

async function kindOf(statement: Promise<unknown>): Promise<string> {
  const error = await statement.then(() => undefined, (error) => error);
  assert.ok(error instanceof SqlError, `expected an SqlError, got ${error}`);
  return error.kind;
}

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "rookery-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
