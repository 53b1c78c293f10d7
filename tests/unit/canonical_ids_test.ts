import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { Pool } from "../../actors/runtime/pool.ts";
import type { Command, Ref, ToWorker } from "../../actors/runtime/protocol.ts";
import { RemoteActors } from "../../actors/runtime/remote_actors.ts";
import { Log } from "../../lib/log.ts";

const ID = "01890000-0000-7000-8000-00000000000a";
const WRONG = [ID.toUpperCase(), `{${ID}}`, ID.replaceAll("-", ""), `${ID} `, "ada", ""];
const command: Command = { type: "x" };

Deno.test("The router rejects an id that is not in canonical form before any worker", async () => {
  const posted: ToWorker[] = [];
  await using pool = await Pool.start({
    threads: 1,
    start: () =>
      Promise.resolve({
        post: (messages) => posted.push(...messages),
        onMessages: () => {},
        onDeath: () => {},
        terminate: () => {},
      }),
    leases: { acquire: () => Promise.resolve([]), [Symbol.asyncDispose]: () => Promise.resolve() },
    log: new Log("error"),
    onCommitted: () => {},
    applied: () => Promise.resolve(),
    onSnapshot: () => {},
    onJobs: () => {},
    onPartitionsMoved: () => {},
    onFenced: () => {},
  });
  const kept = pool.ask({ kind: "user", id: ID }, command).catch(() => {});
  for (const id of WRONG) {
    const ref: Ref = { kind: "user", id };
    await assert.rejects(pool.ask(ref, command), /Expected a UUID in lower case/, id);
    assert.throws(() => pool.tell(ref, command), /Expected a UUID in lower case/, id);
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(posted.map((message) => message.type === "ask" && message.ref.id), [ID]);
  await pool[Symbol.asyncDispose]();
  await kept;
});

Deno.test("A node without actors rejects such an id before it asks another", async () => {
  const bus = {
    request: () => assert.fail("the other node was asked"),
  } as unknown as ConstructorParameters<typeof RemoteActors>[0]["bus"];
  await using remote = new RemoteActors({
    bus,
    history: "h",
    stream: { position: 0, applied: () => Promise.resolve() },
  });
  for (const id of WRONG) {
    await assert.rejects(remote.ask({ kind: "page", id }, command), /Expected a UUID in lower case/, id);
  }
});
