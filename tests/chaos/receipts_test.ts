/** The `Idempotency-Key` of a request whose node was killed during it. */
import assert from "node:assert/strict";
import { NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { pngOf } from "../support/pictures.ts";
import { seededTest } from "../support/seeded.ts";
import { until } from "../support/wait.ts";

/** A node's lease, and the time of a request on a busy machine. */
const FREE_WITHIN_MS = 8_000;

for (const full of [false, true]) {
  const word = full ? "on Postgres" : "on the embedded database";
  seededTest(
    `A request whose node died can be repeated with its key as soon as the lease ends, ${word}`,
    async () => {
      await using node = await NodeProcess.start({ full });
      const [ada] = await makePeople(node, 1) as [Person];
      const data = (await pngOf(900, 700)).toBase64();
      const photos = Array.from({ length: 10 }, (_, i) => ({ name: `${i}.png`, data }));
      const post = () =>
        ada.call("POST", `/pages/${ada.page_id}/posts`, { text: "once", photos }, { "idempotency-key": "one" });
      const broken = post().then(({ status }) => status, () => "broken");
      await until("the work is in progress", async () => {
        const rows = await node.sql.query("select from receipts where state = 'running'");
        return rows.length === 1;
      });
      await node.kill();
      const killed = performance.now();
      assert.equal(await broken, "broken");
      await node.restart();
      const restarted = performance.now();
      const answer = await until("the key is free", async () => {
        const answer = await post();
        return answer.status !== 409 && answer;
      }, { timeoutMs: 20_000 });
      assert.ok([201, 202].includes(answer.status), JSON.stringify(answer.body));
      // The answer may wait five seconds for the photos.
      const allowed = full ? killed + FREE_WITHIN_MS : restarted;
      assert.ok(performance.now() - allowed < 6_500, `it took ${Math.round(performance.now() - killed)} ms`);
      assert.deepEqual(await node.sql.query("select id from posts"), [{ id: answer.body.id }]);
    },
  );
}
