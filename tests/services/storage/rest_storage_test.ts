import assert from "node:assert/strict";
import { RestStorage } from "../../../services/storage/rest_storage.ts";
import { fails, keys, readText, storageSuite, text } from "../../conformance/storage_suite.ts";
import { freePort } from "../../support/servers.ts";
import { StorageProcess } from "../../support/storage_process.ts";

storageSuite("RestStorage", async () => {
  const process = await StorageProcess.start();
  const storage = process.client();
  const close = storage[Symbol.asyncDispose].bind(storage);
  return Object.assign(storage, {
    async [Symbol.asyncDispose]() {
      await close();
      await process[Symbol.asyncDispose]();
    },
  });
});

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "RestStorage with a wrong token has no access",
  ...options,
  fn: async () => {
    await using process = await StorageProcess.start();
    await using owner = process.client();
    await owner.put("a", text("mine"));
    for (const token of ["", "a token", "a token for tests!"]) {
      await using stranger = process.client({ token });
      await fails("refused", stranger.get("a"));
      await fails("refused", stranger.head("a"));
      await fails("refused", stranger.put("a", text("theirs")));
      await fails("refused", stranger.delete("a"));
      await fails("refused", stranger.list({ limit: 1 }));
    }
    assert.equal(await readText(owner, "a"), "mine");
    assert.deepEqual(await keys(owner, 9), ["a"]);
  },
});

Deno.test({
  name: "RestStorage is unavailable without a server, and works after one starts",
  ...options,
  fn: async () => {
    await using nobody = new RestStorage({ url: `http://127.0.0.1:${await freePort()}`, token: "x" });
    await fails("unavailable", nobody.head("a"));
    await using process = await StorageProcess.start();
    await using storage = process.client();
    await storage.put("a", text("x"));
    await process.kill();
    await fails("unavailable", storage.put("b", text("x")));
    await fails("unavailable", storage.get("a"));
    await process.restart();
    await storage.put("b", text("y"));
    assert.equal(await readText(storage, "b"), "y");
  },
});

Deno.test({
  name: "RestStorage is unavailable within its time limit when the service hangs, also during a body",
  ...options,
  fn: async () => {
    await using process = await StorageProcess.start();
    await using slow = process.client();
    await slow.put("a", new Uint8Array(32 * 1024 * 1024));
    await using storage = process.client({ answerMs: 300 });
    const reader = (await storage.get("a"))!.body.getReader();
    await reader.read();
    process.signal("SIGSTOP");
    await fails("unavailable", storage.head("a"));
    await fails("unavailable", storage.put("b", text("x")));
    await fails(
      "unavailable",
      (async () => {
        while (!(await reader.read()).done);
      })(),
    );
    process.signal("SIGCONT");
    assert.equal(await readText(slow, "none"), undefined);
  },
});

Deno.test({
  name: "RestStorage distinguishes a truncated body from a complete one",
  ...options,
  fn: async () => {
    await using process = await StorageProcess.start();
    await using storage = process.client();
    await storage.put("a", new Uint8Array(32 * 1024 * 1024));
    const reader = (await storage.get("a"))!.body.getReader();
    await reader.read();
    await process.kill();
    await fails(
      "unavailable",
      (async () => {
        while (!(await reader.read()).done);
      })(),
    );
  },
});
