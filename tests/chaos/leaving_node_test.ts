/** A node that stops beside another one, seen by callers who still have its address. */
import assert from "node:assert/strict";
import { fullTest } from "../support/full.ts";
import { Installation } from "../support/installation.ts";
import type { NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { RawSocket } from "../support/raw_socket.ts";

/** As `deno task cluster` and containers have it: no node has services of its own. */
const EQUAL = { ROLES: "api,actors", WORKERS: "1", STORAGE_URL: "http://127.0.0.1:9" };

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
  assert.ok(statuses.length > 40, `${statuses.length / 2} posts in ${Math.round(ms)} ms`);
  const acknowledged = statuses.filter((status) => status === 201).length;
  const [row] = await other.sql.query<{ n: number }>("select count(*)::int as n from posts");
  // The answer to the last one may have been lost.
  assert.ok([acknowledged, acknowledged + 1].includes(row!.n), `${acknowledged} of ${row!.n}`);
});
