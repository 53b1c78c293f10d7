/** The fake VK as the child of a node and as a task. */
import assert from "node:assert/strict";
import { Log } from "../../../lib/log.ts";
import { startFakeChild } from "../../../workers/children/start_vk_fake.ts";
import { freePort } from "../../support/servers.ts";
import { childrenOf } from "../../support/processes.ts";

import { TaskProcess } from "../../support/task_process.ts";
import { until } from "../../support/wait.ts";

async function serverTime(url: string): Promise<number | undefined> {
  const form = new URLSearchParams({ v: "5.199" });
  const headers = { authorization: "Bearer fake-service" };
  try {
    const response = await fetch(`${url}/method/utils.getServerTime`, { method: "POST", headers, body: form });
    return (await response.json()).response;
  } catch {
    return undefined;
  }
}

const fakes = async () =>
  (await childrenOf(Deno.pid)).filter(({ command }) => command.includes("workers/children/vk_fake.ts"));

Deno.test({
  name: "The fake VK restarts on its port, ends with its parent, and has no other permissions",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    Deno.env.set("ADMIN_PASSWORD", "Passw0rd!");
    try {
      const child = await startFakeChild(new Log("error"));
      assert.ok(await serverTime(child.url));
      const [{ pid, command }] = await fakes() as [{ pid: number; command: string }];
      assert.match(command, /--allow-net=127\.0\.0\.1 --allow-env=VK_FAKE_PORT \S+vk_fake\.ts$/);
      assert.ok(!Deno.readTextFileSync(`/proc/${pid}/environ`).includes("ADMIN_PASSWORD"));
      Deno.kill(pid, "SIGKILL");
      await until("it is back", async () => await serverTime(child.url) !== undefined);
      await child[Symbol.asyncDispose]();
      assert.deepEqual(await fakes(), []);
    } finally {
      Deno.env.delete("ADMIN_PASSWORD");
    }
  },
});

Deno.test("deno task vk:fake serves until it is stopped, and prints its usage", async () => {
  const port = await freePort();
  await using task = new TaskProcess("vk_fake", ["--port", String(port)]);
  await task.says(`VK_API_URL=http://127.0.0.1:${port}`);
  assert.ok(await serverTime(`http://127.0.0.1:${port}`));
  const taken = await TaskProcess.run("vk_fake", ["--port", String(port)]);
  assert.equal(taken.code, 1, taken.output);
  for (const args of [["--port", "x"], ["--port", "123456"], ["--nothing"], ["more"]]) {
    assert.equal((await TaskProcess.run("vk_fake", args)).code, 2, args.join(" "));
  }
  assert.notEqual(await task.interrupt(), 1);
});
