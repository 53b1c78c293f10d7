/** An operator changes SECRET_KEY on the data of an installation. */
import assert from "node:assert/strict";
import { startFakeServer } from "../../../services/vk/fake/server.ts";
import { NodeProcess } from "../../support/node_process.ts";
import { administrator, Person } from "../../support/person.ts";
import { freshDataDir } from "../../support/database.ts";
import { TaskProcess } from "../../support/task_process.ts";

const [OLD, NEW] = ["the old secret key, 32 characters or more", "the new secret key, 32 characters or more"];

Deno.test("A new SECRET_KEY keeps sessions and VK tokens, also after resealing without the previous one", async () => {
  await using vk = await startFakeServer();
  vk.fake.switches.calls = 1_000;
  await using folder = await freshDataDir();
  const unowned = { path: folder.path, [Symbol.asyncDispose]: () => Promise.resolve() };
  const start = (env: Record<string, string>) => NodeProcess.on(unowned, { VK_API_URL: vk.url, ...env });
  let session = "";
  const seen = async (node: NodeProcess, id: number) => {
    const admin = new Person(node, "admin");
    admin.token = session;
    return (await admin.do("GET", `/vk/users/${id}`)).id;
  };
  {
    await using node = await start({ SECRET_KEY: OLD });
    const admin = await administrator(node);
    session = admin.token;
    await admin.do("PUT", "/vk/token", { token: "fake-user-101", kind: "user" });
    assert.equal(await seen(node, 101), "101");
    await node.stop();
  }
  {
    await using node = await start({ SECRET_KEY: NEW, SECRET_KEY_PREVIOUS: OLD });
    assert.equal(await seen(node, 102), "102");
    const { code, output } = await TaskProcess.run("keys", ["reseal"], node.settings);
    assert.equal(code, 0, output);
    assert.match(output, /Re-encrypted: 1 signing keys, 1 VK tokens/);
    assert.match((await TaskProcess.run("keys", ["reseal"], node.settings)).output, /: 0 signing keys, 0 VK tokens/);
    assert.equal(await seen(node, 103), "103");
    await node.stop();
  }
  await using node = await start({ SECRET_KEY: NEW });
  assert.equal(await seen(node, 104), "104");
});
