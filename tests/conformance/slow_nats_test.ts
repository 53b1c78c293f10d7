import assert from "node:assert/strict";
import { NatsBus } from "../../lib/bus/nats.ts";
import { Log } from "../../lib/log.ts";
import { sleep } from "../../lib/sleep.ts";
import { startNats } from "../support/servers.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "../support/wait.ts";

const full = { ignore: !Deno.env.get("TEST_NATS_URL"), sanitizeOps: false, sanitizeResources: false };
/** Longer than the bus waits. */
const STALL_MS = 2_500;

Deno.test({
  name: "NatsBus is connected although a server stalled between the handshake and its first answer",
  ...full,
  fn: async () => {
    await using server = await startNats();
    await using proxy = new TcpProxy(Number(new URL(server.url).port));
    let answers = 0;
    proxy.beforeReply = async (bytes) => {
      // The first is part of the handshake of the client.
      if (new TextDecoder().decode(bytes).includes("PONG") && ++answers === 2) await sleep(STALL_MS);
    };
    await using bus = new NatsBus(`nats://127.0.0.1:${proxy.port}`, { log: new Log("error") });
    await until("it is connected", () => bus.connected);
    assert.ok(answers > 2, "the server stalled");
    const got: string[] = [];
    await using _subscription = await bus.subscribe("a", (message) => void got.push(message));
    await bus.publish("a", "heard");
    await until("the message", () => got.length === 1);
  },
});
