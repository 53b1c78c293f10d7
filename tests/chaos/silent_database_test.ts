/** A node whose connections to Postgres lose everything without an error, as after a router forgot them. */
import assert from "node:assert/strict";
import { freshDatabase } from "../support/database.ts";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";
import { PatientClient } from "../support/patient_client.ts";
import { makePeople, type Person } from "../support/person.ts";
import { parseMetrics, valueOf } from "../support/prometheus.ts";
import { seededTest } from "../support/seeded.ts";
import { SteadyListener } from "../support/steady_listener.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "../support/wait.ts";

/** The time that a statement may take, with time to make connections and to take the partitions again. */
const BACK_WITHIN_MS = 8_000 + 7_000;
const STOPPED_WITHIN_MS = 10_000;

seededTest(
  "A node is back soon after its connections to Postgres fell silent, and stops in time",
  async (random) => {
    const database = new URL(await freshDatabase());
    await using proxy = new TcpProxy(Number(database.port));
    database.port = `${proxy.port}`;
    await using folder = await emptyFolder();
    await using node = await NodeProcess.on(folder, { DATABASE_URL: database.href, WORKERS: "1" });
    const [person] = await makePeople(node, 1) as [Person];
    const client = new PatientClient(random, [node]);
    await using listener = new SteadyListener(person, [node], 0);
    const post = async (text: string) => {
      const { body } = await client.write(person, "POST", `/pages/${person.page_id}/posts`, { text });
      await until("the listener has received it", () => listener.received.has(body.id));
    };
    // It receives what is posted from now on.
    await until("the listener is connected", () => listener.connections > 0);
    await post("before");
    const begun = performance.now();
    proxy.forget();
    await post("after");
    const tookMs = performance.now() - begun;
    assert.ok(tookMs < BACK_WITHIN_MS, `back after ${Math.round(tookMs)} ms`);
    assert.deepEqual([listener.resets, listener.doubled], [0, []]);
    const metrics = parseMetrics(await (await fetch(`${node.url}/metrics`)).text());
    assert.ok((valueOf(metrics, "rookery_sql_timeouts_total", { pool: "rookery-lease" }) ?? 0) > 0);
    proxy.forget();
    const { code, ms } = await node.stop();
    assert.equal(code, 0);
    assert.ok(ms < STOPPED_WITHIN_MS, `stopped after ${Math.round(ms)} ms`);
  },
);
