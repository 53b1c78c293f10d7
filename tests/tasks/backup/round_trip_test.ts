/** A backup and its restore, between every pair of the two kinds of databases. */
import assert from "node:assert/strict";
import { readManifest } from "../../../tasks/backup/manifest.ts";
import { BackupWorld, DRIVERS, emptyPlace, nodeIn } from "../../support/backup_world.ts";
import { Listener } from "../../support/listener.ts";
import { emptyFolder, SECRET_KEY } from "../../support/node_process.ts";
import { makePeople } from "../../support/person.ts";
import { Seeded } from "../../support/seeded.ts";
import { TaskProcess } from "../../support/task_process.ts";
import { assertCountersTrue, assertHistoryWhole, WriteWorkload } from "../../support/write_workload.ts";
import { until } from "../../support/wait.ts";

for (const from of DRIVERS) {
  for (const to of DRIVERS) {
    Deno.test(`A backup during heavy writes (${from}) is restored exactly (${to})`, async () => {
      await using folder = await emptyFolder();
      await using source = await emptyPlace(from);
      await using target = await emptyPlace(to);
      const backup = `${folder.path}/backup`;
      let cursor: string;
      let world: BackupWorld;
      {
        await using node = await nodeIn(source);
        world = await BackupWorld.make(node);
        const people = await makePeople(node, 4, "workload");
        const workload = new WriteWorkload(new Seeded(7), people, people.map(({ page_id: page }) => page), "s");
        let stopped = false;
        const atWork = workload.run(6, () => stopped);
        const seqOf = async () => (await node.sql.query<{ seq: number }>("select seq from sequencer"))[0]!.seq;
        await until("there is a history", async () => workload.posts.size >= 40 && await seqOf() > 50);
        const output = await TaskProcess.done("backup", [backup], node.settings);
        stopped = true;
        await atWork;
        assert.match(output, /need this SECRET_KEY/);
        const { history } = await readManifest(backup);
        const now = await seqOf();
        assert.ok(now > history.seq && history.seq > 50, `the workload had ended: ${history.seq} of ${now}`);
        const listener = await Listener.open(world.people[0]);
        cursor = listener.cursor!;
        listener.cut();
      }
      await TaskProcess.done("restore", [backup], { ...target.env, DATA_DIR: target.path, SECRET_KEY });
      await using node = await nodeIn(target);
      const { tables, history } = await readManifest(backup);
      const [kept] = await node.sql.query<{ posts: number; seq: number; sessions: number }>(
        `select (select count(*) from posts) as posts, (select max(seq) from events where seq <= $1) as seq,
          (select count(*) from sessions where ended_at is null) as sessions`,
        [history.seq],
      );
      assert.deepEqual(kept, { posts: tables.posts!.rows, seq: history.seq, sessions: 0 });
      await assertCountersTrue(node.sql);
      await assertHistoryWhole(node.sql);
      await world.holdsIn(node);
      const [ann] = world.people;
      const listener = new Listener(Object.assign(ann, { node }));
      await ann.signIn();
      await listener.connect(cursor);
      await until("a cursor of the time after the backup is reset", () => listener.resets.length === 1);
      assert.deepEqual(listener.resets, ["foreign"], "its number alone identified it");
      listener.cut();
      await assertCountersTrue(node.sql);
    });
  }
}
