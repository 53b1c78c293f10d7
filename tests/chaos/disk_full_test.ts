/** A data folder without room: writes are refused with the reason, nothing that was acknowledged is lost, and it goes on with room. */
import assert from "node:assert/strict";
import { NodeProcess } from "../support/node_process.ts";
import { type Answer, makePeople, type Person } from "../support/person.ts";
import { freshDataDir } from "../support/database.ts";
import { until } from "../support/seeded.ts";

const CI = Deno.env.get("CI") === "true";
/** Mounting is root's; in CI that is who runs the tests. */
const options = { ignore: Deno.uid() !== 0 && !CI, sanitizeOps: false, sanitizeResources: false };
const SIZE = "140m";

/** A data folder on a disk of its own. */
async function smallDisk(): Promise<{ path: string } & AsyncDisposable> {
  await using template = await freshDataDir();
  const path = await Deno.makeTempDir({ prefix: "rookery-disk-" });
  await run("mount", "-t", "tmpfs", "-o", `size=${SIZE}`, "rookery-test", path);
  await run("cp", "-pR", `${template.path}/postgres`, path);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await run("umount", "--lazy", path);
      await Deno.remove(path, { recursive: true });
    },
  };
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, `${program}: ${new TextDecoder().decode(stderr)}`);
}

/** Takes all the room that is left. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, append: true });
  for (const size of [1024 * 1024, 4096]) {
    const piece = new Uint8Array(size);
    while (await file.write(piece).catch(() => 0) === size);
  }
}

Deno.test(
  "With its disk full a node refuses what it cannot store, with 503 from the first, and goes on when there is room",
  options,
  async () => {
    await using disk = await smallDisk();
    await using node = await NodeProcess.on({ path: disk.path, [Symbol.asyncDispose]: async () => {} }, {});
    const [ada] = await makePeople(node, 1) as [Person];
    const stored = new Set<string>();
    const refused: Answer[] = [];
    const post = async () => {
      const answer = await ada.call("POST", `/pages/${ada.page}/posts`, { text: "a long post ".repeat(300) });
      if (answer.status === 201) stored.add(answer.body.id);
      else refused.push(answer);
      return answer.status;
    };
    assert.equal(await post(), 201);
    await fill(`${disk.path}/filler`);
    // What is in files that have room goes on.
    await until("a post is refused", async () => await post() !== 201);
    for (let i = 0; i < 20; i++) await post();
    for (const { status, headers, body } of refused) {
      assert.deepEqual([status, body.type.split("/").at(-1)], [503, "disk-full"], JSON.stringify(body));
      assert.ok(Number(headers.get("retry-after")) > 0);
    }
    assert.match(node.output, /"level":"error","message":"the database has no room/);
    assert.equal((await ada.call("GET", "/feed")).status, 200, "reading goes on");

    await Deno.remove(`${disk.path}/filler`);
    await until("posts are taken again", async () => await post() === 201);
    const rows = await node.sql.query<{ id: string }>("select id from posts");
    assert.deepEqual(new Set(rows.map(({ id }) => id)), stored);
  },
);
