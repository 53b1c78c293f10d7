/** The log of processes whose database is away: one JSON object a line, one line a minute per kind, no secret. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { freshDatabase } from "../support/database.ts";
import { Installation } from "../support/installation.ts";
import { emptyFolder, runToEnd, SECRET_KEY } from "../support/node_process.ts";
import { ADMIN, makePeople, PASSWORD, type Person } from "../support/person.ts";
import { until } from "../support/wait.ts";

/** A few leases: whatever repeats on an interval fails several times. */
const AWAY_MS = 8_000;

interface Line {
  level: string;
  message: string;
}

/** Throws at a line that is no JSON object. */
function linesOf(output: string): Line[] {
  // What a process says once it is ready is for people.
  const logged = output.split("\n").filter((line) => line !== "" && !/^Rookery\S* /.test(line));
  return logged.map((line) => {
    assert.match(line, /^\{.*\}$/);
    return JSON.parse(line);
  });
}

Deno.test("While its database is away a node repeats no warning within a minute, and logs no secret", async () => {
  await using installation = await Installation.open({ redis: false, nats: false });
  const node = await installation.start({ ROLES: "api,actors", STORAGE_URL: "http://127.0.0.1:9", LOG_LEVEL: "info" });
  const [ada] = await makePeople(node, 1) as [Person];
  await installation.postgres.kill();
  const post = async () => (await ada.call("POST", `/pages/${ada.page_id}/posts`, { text: "in vain" })).status;
  // A statement on a connection that ends at this moment has an unknown outcome.
  await until("the node notices", async () => await post() === 503);
  const end = performance.now() + AWAY_MS;
  while (performance.now() < end) {
    assert.equal(await post(), 503);
    await sleep(100);
  }
  const warned = linesOf(node.output).filter(({ level }) => level === "warn" || level === "error");
  assert.ok(warned.length > 1, node.output);
  const counts = new Map<string, number>();
  for (const { message } of warned) counts.set(message, (counts.get(message) ?? 0) + 1);
  assert.deepEqual([...counts].filter(([, count]) => count > 1), []);
  for (const secret of [SECRET_KEY, PASSWORD, ADMIN.password, ada.token, ada.refresh_token]) {
    assert.ok(!node.output.includes(secret));
  }
});

Deno.test("A process that cannot start says why in one line of the log, without the password", async () => {
  await using folder = await emptyFolder();
  const DATABASE_URL = "postgres://rookery:hunter2hunter2@127.0.0.1:9/rookery";
  for (const env of [{ ROLES: "api,actors", STORAGE_URL: "http://127.0.0.1:9" }, { ROLES: "kv" }]) {
    const { code, message } = await runToEnd(folder.path, { ...env, DATABASE_URL });
    const lines = linesOf(message);
    assert.deepEqual([code, lines.map(({ level, message }) => `${level} ${message}`)], [1, ["error process failed"]]);
    assert.ok(!message.includes("hunter2hunter2"), message);
  }
});

Deno.test("A node whose port is taken says so, and leaves no rejection unhandled", async () => {
  await using folder = await emptyFolder();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const DATABASE_URL = await freshDatabase();
  const roles = { ROLES: "api,actors", STORAGE_URL: "http://127.0.0.1:9" };
  const { code, message } = await runToEnd(folder.path, { ...roles, DATABASE_URL, PORT: `${taken.addr.port}` });
  const said = linesOf(message).filter(({ level }) => level === "error").map(({ message }) => message);
  assert.deepEqual([code, said.at(-1), said.includes("unhandled rejection")], [1, "process failed", false], message);
});
