import assert from "node:assert/strict";
import { Log } from "../../../lib/log.ts";
import { startStorageChild } from "../../../workers/children/start_storage.ts";
import { openStorage } from "../../../services/storage/open.ts";
import { keys, readText, text } from "../../conformance/storage_suite.ts";
import { until } from "../../support/wait.ts";

const TOKEN = "a token that is never shown";

Deno.test({
  name: "The storage process restarts on its port with its objects, ends on request and gets only its own secret",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "rookery-test-" });
    Deno.env.set("ADMIN_PASSWORD", "Passw0rd!");
    try {
      const options = { log: new Log("error"), port: 0, folder: `${folder}/photos`, maxEntries: 6, token: TOKEN };
      const child = await startStorageChild(options);
      await using storage = openStorage({ kind: "rest", url: child.url, token: TOKEN });
      for (let i = 0; i < 10; i++) await storage.put(`key-${i}`, text("x"));
      const [pid] = storageProcesses();
      assert.ok(pid);
      assert.ok(!Deno.readTextFileSync(`/proc/${pid}/environ`).includes("ADMIN_PASSWORD"));
      assert.ok(!Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("never shown"));
      Deno.kill(pid, "SIGKILL");
      await until("it is back", () => readText(storage, "key-3").then((read) => read === "x", () => false));
      assert.equal((await keys(storage, 100)).length, 10);
      await child[Symbol.asyncDispose]();
      assert.deepEqual(storageProcesses(), []);
    } finally {
      Deno.env.delete("ADMIN_PASSWORD");
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Children of this process that run the storage. Linux only, like other tests that kill processes. */
function storageProcesses(): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("workers/children/storage.ts") &&
        new RegExp(`^PPid:\\s+${Deno.pid}$`, "m").test(Deno.readTextFileSync(`/proc/${pid}/status`));
    } catch {
      return false;
    }
  });
}
