import assert from "node:assert/strict";
import { connectPostgres } from "../../db/postgres.ts";
import { type Sql, SqlError } from "../../db/sql.ts";
import { sleep } from "../../lib/sleep.ts";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";

import { freshDatabase, testServer } from "../support/database.ts";
import { freePort, startPostgres } from "../support/servers.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "../support/wait.ts";

// Sockets and timers of `pg` outlive their statement.
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test("Postgres without a server makes statements unavailable", async () => {
  await using sql = connectPostgres(`postgres://nobody@127.0.0.1:${await freePort()}/none`, { max: 2 });
  assert.equal(await kindOf(sql.query("select 1")), "unavailable");
  assert.equal(await kindOf(sql.script("select 1")), "unavailable");
});

Deno.test({
  name: "Postgres that does not answer makes statements unavailable after three seconds",
  ...options,
  fn: async () => {
    const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await using sql = connectPostgres(`postgres://nobody@127.0.0.1:${silent.addr.port}/none`, { max: 1 });
    const start = Date.now();
    assert.equal(await kindOf(sql.query("select 1")), "unavailable");
    assert.ok(Date.now() - start < 8_000);
    silent.close();
  },
});

Deno.test({
  name: "Statements on nearly empty tables use the indexes that full tables need",
  ...options,
  fn: async () => {
    const DATABASE_URL = await freshDatabase();
    await using node = await NodeProcess.on(await emptyFolder(), { DATABASE_URL });
    const [ann] = await makePeople(node, 1) as [Person];
    const { id } = await ann.post("liked again and again");
    await using sql = connectPostgres(DATABASE_URL, { max: 1 });
    // From here on Postgres knows that the tables are nearly empty.
    await sql.script("analyze");
    for (let i = 0; i < 20; i++) for (const method of ["PUT", "DELETE"]) await ann.do(method, `/posts/${id}/like`);
    const likes = await until("Postgres has counted the scans of likes", async () => {
      const [row] = await sql.query<{ seq_scan: number; n_tup_del: number }>(
        "select seq_scan, n_tup_del from pg_stat_user_tables where relname = 'likes'",
      );
      return row!.n_tup_del >= 20 ? row : undefined;
    }, { everyMs: 200 });
    assert.ok(likes.seq_scan < 10, `likes was read from end to end ${likes.seq_scan} times`);
  },
});

Deno.test({
  name: "Postgres statements on connections that lose everything silently are lost once, not one after another",
  ...options,
  fn: async () => {
    const url = new URL(await freshDatabase());
    await using proxy = new TcpProxy(Number(url.port));
    url.port = `${proxy.port}`;
    await using sql = connectPostgres(url.href, { max: 4, answerWithinMs: 2_000 });
    const sleeping = () => sql.query("select pg_sleep(0.1)");
    await Promise.all(Array.from({ length: 4 }, sleeping));
    proxy.forget();
    const begun = performance.now();
    assert.equal(await kindOf(sql.query("select 1")), "lost");
    assert.ok(performance.now() - begun >= 1_990);
    // The other three were idle, and failed as well.
    const again = performance.now();
    await Promise.all(Array.from({ length: 4 }, sleeping));
    assert.ok(performance.now() - again < 1_900);
    // Migrations may take long.
    await sql.script("select pg_sleep(2.3)");
  },
});

Deno.test({
  name: "Postgres statements that wait for a connection which is lost get another",
  ...options,
  fn: async () => {
    const url = new URL(await freshDatabase());
    await using proxy = new TcpProxy(Number(url.port));
    url.port = `${proxy.port}`;
    await using sql = connectPostgres(url.href, { max: 1, answerWithinMs: 500 });
    await sql.query("select 1");
    proxy.forget();
    assert.deepEqual(await Promise.all([kindOf(sql.query("select 1")), sql.query("select 2 as two")]), [
      "lost",
      [{ two: 2 }],
    ]);
  },
});

Deno.test({
  name: "Postgres statements on which the server works, or which wait for a lock, are not lost",
  ...options,
  fn: async () => {
    const url = await freshDatabase();
    await using sql = connectPostgres(url, { max: 3, answerWithinMs: 500 });
    await using other = connectPostgres(url, { max: 1 });
    await sql.script("create table t (id int)");
    const holding = other.script("lock table t; select pg_sleep(2)");
    await waitFor(sql, "select 1 from pg_locks where relation = 't'::regclass and granted", 1);
    const [slept, counted] = await Promise.all([
      sql.query("select pg_sleep(1.6)::text as slept"),
      sql.query("select count(*)::int as n from t"),
      sql.query("select 1"),
    ]);
    assert.deepEqual([slept, counted], [[{ slept: "" }], [{ n: 0 }]]);
    await holding;
  },
});

Deno.test({
  name: "Postgres looks for connections whose client is gone after a minute, not after two hours",
  ...options,
  fn: async () => {
    await using sql = connectPostgres(await testServer(), { max: 1 });
    const values = await sql.query(
      "select current_setting('tcp_keepalives_idle') as idle, current_setting('tcp_keepalives_interval') as interval",
    );
    assert.deepEqual(values, [{ idle: "60", interval: "10" }]);
  },
});

Deno.test({
  name: "Postgres statements fail with their connection, and later ones get another",
  ...options,
  fn: async () => {
    await using sql = connectPostgres(await freshDatabase(), { max: 4, applicationName: "victim" });
    await using other = connectPostgres(await testServer(), { max: 1 });
    for (let round = 0; round < 3; round++) {
      const running = Array.from({ length: 3 }, () => kindOf(sql.query("select pg_sleep(20)")));
      await waitFor(other, "select 1 from pg_stat_activity where application_name = 'victim' and state = 'active'", 3);
      await other.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim'");
      assert.deepEqual(await Promise.all(running), ["lost", "lost", "lost"]);
      assert.deepEqual(await sql.query("select 1 as one"), [{ one: 1 }]);
    }
    // Broken idle connections have no effect.
    await other.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim'");
    await until("they have ended", async () => {
      return (await other.query("select 1 from pg_stat_activity where application_name = 'victim'")).length === 0;
    });
    // For this process to read of it.
    await sleep(100);
    assert.deepEqual(await sql.query("select 1 as one"), [{ one: 1 }]);
  },
});

Deno.test({
  name: "Postgres statements in sequence do not starve waiting ones",
  ...options,
  fn: async () => {
    await using sql = connectPostgres(await testServer(), { max: 1 });
    let following = true;
    const chain = (async () => {
      let length = 0;
      for (; following && length < 2_000; length++) await sql.query("select 1");
      return length;
    })();
    await sql.query("select 2");
    following = false;
    assert.ok(await chain < 2_000, "the waiting statement ran last");
    // A connection reserved for the next statement of this turn is closed with all others.
    await sql.query("select 3");
    await sql[Symbol.asyncDispose]();
    assert.equal(await kindOf(sql.query("select 4")), "unavailable");
  },
});

Deno.test({
  name: "Postgres statements that deadlock all succeed",
  ...options,
  fn: async () => {
    await using sql = connectPostgres(await freshDatabase(), { max: 4 });
    await sql.script("create table t (id int primary key, n int not null default 0); insert into t values (1), (2)");
    const both = (first: number, second: number) =>
      sql.execute(
        `with one as materialized (select id from t where id = $1 for update),
        pause as materialized (select pg_sleep(0.3) from one)
        update t set n = n + 1 where id = $2 and (select count(*) from pause) = 1`,
        [first, second],
        "both",
      );
    await Promise.all([both(1, 2), both(2, 1)]);
    assert.deepEqual(await sql.query("select id, n from t order by id"), [{ id: 1, n: 1 }, { id: 2, n: 1 }]);
  },
});

Deno.test({
  name: "Postgres cancels a statement over its time limit, and the connection stays usable",
  ...options,
  fn: async () => {
    await using sql = connectPostgres(await testServer(), { max: 1, statementTimeoutMs: 100 });
    const [before] = await sql.query("select pg_backend_pid() as pid");
    const error = await sql.query("select pg_sleep(5)").catch((error) => error);
    assert.deepEqual([error.kind, error.code], ["fault", "57014"]);
    assert.deepEqual(await sql.query("select pg_backend_pid() as pid"), [before]);
  },
});

Deno.test({
  name: "Postgres works again after a kill and restart, with every acknowledged row",
  ...options,
  fn: async () => {
    await using server = await startPostgres();
    await using sql = connectPostgres(await server.createDatabase(), { max: 4 });
    await sql.script("create table t (id int primary key)");
    const acknowledged: number[] = [];
    const kinds = new Set<string>();
    let stop = false;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let i = writer; !stop; i += 4) {
        try {
          await sql.execute("insert into t values ($1)", [i], "insert");
          acknowledged.push(i);
        } catch (error) {
          kinds.add((error as SqlError).kind);
          await sleep(20);
        }
      }
    });
    await until("there are some rows", () => acknowledged.length > 0);
    await server.restart();
    for (const reached = acknowledged.length + 50; acknowledged.length < reached;) {
      await sleep(20);
    }
    stop = true;
    await Promise.all(writers);
    const stored = new Set((await sql.query<{ id: number }>("select id from t")).map((row) => row.id));
    assert.deepEqual(acknowledged.filter((id) => !stored.has(id)), []);
    assert.deepEqual([...kinds].filter((kind) => kind !== "lost" && kind !== "unavailable"), []);
  },
});

async function kindOf(statement: Promise<unknown>): Promise<string> {
  const error = await statement.then(() => undefined, (error) => error);
  assert.ok(error instanceof SqlError, `expected an SqlError, got ${error}`);
  return error.kind;
}

async function waitFor(sql: Sql, text: string, rows: number): Promise<void> {
  await until(`${rows} rows`, async () => (await sql.query(text)).length >= rows);
}
