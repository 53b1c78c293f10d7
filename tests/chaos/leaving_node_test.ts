/** A node that stops beside another one, seen by callers who still have its address. */
import assert from "node:assert/strict";
import { fullTest } from "../support/full.ts";
import { Installation } from "../support/installation.ts";
import type { NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { sleep } from "../../lib/sleep.ts";
import { RawSocket } from "../support/raw_socket.ts";

/** A proxy that looks every quarter of a second, and believes the second look. */
const NOTICED_MS = 700;
/** A caller who pauses for this long is still expected. */
const PAUSE_MS = 350;
const SOON_MS = 4_000;
/** A stopping node waits at least this long for proxies. */
const AT_ONCE_MS = 1_000;
/** As `deno task cluster` and containers have it: no node has services of its own. */
const EQUAL = { ROLES: "api,actors", WORKERS: "1", STORAGE_URL: "http://127.0.0.1:9" };

fullTest("A node that stops beside others answers until a proxy has seen that it leaves", async () => {
  await using installation = await Installation.open();
  const [leaving, other] = await installation.startEqual(2, EQUAL) as [NodeProcess, NodeProcess];
  const [ada] = await makePeople(leaving, 1) as [Person];
  const begun = performance.now();
  const stopping = leaving.stop();
  const ready: number[] = [];
  const statuses: number[] = [];
  const path = `/pages/${ada.page_id}/posts`;
  for (; performance.now() - begun < NOTICED_MS; await sleep(PAUSE_MS)) {
    try {
      statuses.push((await ada.call("POST", path, { text: "while the proxy looks" })).status);
      const answer = await fetch(`${leaving.url}/readyz`);
      await answer.body?.cancel();
      ready.push(answer.status);
    } catch (error) {
      // Unless this process stood still for longer than the node waits.
      if (performance.now() - begun < AT_ONCE_MS) throw error;
    }
  }
  // The proxy has noticed.
  const { code, ms } = await stopping;
  assert.deepEqual([code, statuses.filter((status) => status !== 201)], [0, []], leaving.output);
  // The first look may have come before the node knew.
  if (ready.length > 1) assert.equal(ready.at(-1), 503, leaving.output);
  assert.ok(ms < NOTICED_MS + SOON_MS, `stopped after ${Math.round(ms)} ms`);
  // Nobody else could be asked.
  let lastMs = Infinity;
  for (let i = 0; i < 3 && lastMs >= AT_ONCE_MS; i++) {
    if (i > 0) await other.restart();
    lastMs = (await other.stop()).ms;
  }
  assert.ok(lastMs < AT_ONCE_MS, `the last node stopped after ${Math.round(lastMs)} ms`);
});

fullTest("A node that stops answers reads and writes until its address refuses connections", async () => {
  await using installation = await Installation.open();
  const [leaving, other] = await installation.startEqual(2, EQUAL) as [NodeProcess, NodeProcess];
  const [ada] = await makePeople(leaving, 1) as [Person];
  // It does not answer the close frame, so the node waits for it.
  const { ticket } = await ada.do("POST", "/feed/ticket");
  const silent = await RawSocket.open(`${leaving.url}/api/v1/feed/live?ticket=${ticket}`);
  const stopping = leaving.stop();
  const statuses: number[] = [];
  for (;;) {
    const answer = await ada.call("POST", `/pages/${ada.page_id}/posts`, { text: "to the leaving node" })
      .catch(() => undefined);
    if (!answer) break;
    statuses.push(answer.status, (await ada.call("GET", "/feed").catch(() => ({ status: 200 }))).status);
  }
  const { code, ms } = await stopping;
  silent.cut();
  assert.equal(code, 0, leaving.output);
  assert.deepEqual([...new Set(statuses)].sort(), [200, 201]);
  assert.ok(statuses.length >= 10, `${statuses.length / 2} posts in ${Math.round(ms)} ms`);
  const acknowledged = statuses.filter((status) => status === 201).length;
  const [row] = await other.sql.query<{ n: number }>("select count(*)::int as n from posts");
  // The answer to the last one may have been lost.
  assert.ok([acknowledged, acknowledged + 1].includes(row!.n), `${acknowledged} of ${row!.n}`);
});
