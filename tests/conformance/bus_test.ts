import assert from "node:assert/strict";
import { BusUnavailable, NoReply } from "../../lib/bus/bus.ts";
import { LocalBus } from "../../lib/bus/local.ts";
import { NatsBus, type NatsBusOptions } from "../../lib/bus/nats.ts";
import { connectNats } from "../../lib/bus/nats_transport.ts";
import { Log } from "../../lib/log.ts";
import { BusSealing } from "../../security/bus_sealing.ts";
import { Secret } from "../../security/secret.ts";
import { freePort, startNats } from "../support/servers.ts";
import { busSuite } from "./bus_suite.ts";
import { sleep } from "../../lib/sleep.ts";
import { until } from "../support/wait.ts";

// Some tests fail handlers on purpose.
const options = { log: new Log("error"), retryMs: 50 };
const quiet = new class extends Log {
  override warn() {}
  override error() {}
}("error");

busSuite("LocalBus", async () => new LocalBus({ ...options, log: quiet }));

Deno.test("LocalBus keeps the last 10,000 messages of a stream", async () => {
  await using bus = new LocalBus();
  for (let i = 0; i < 25_000; i++) await bus.append("jobs", `${i}`, `${i}`);
  const got: string[] = [];
  await using _consumer = await bus.consume("jobs", "late", async (message) => void got.push(message));
  await until("the message", () => got.at(-1) === "24999");
  assert.equal(got.length, 10_000);
  assert.equal(got[0], "15000");
});

for (const [driver, url] of [["NatsBus", "TEST_NATS_URL"], ["NatsBus through ws", "TEST_NATS_WS_URL"]]) {
  const address = Deno.env.get(url!);
  if (address) busSuite(driver!, () => open(address));
}
const sealing = new BusSealing(new Secret("a".repeat(32)));
const sealedAt = Deno.env.get("TEST_NATS_URL");
if (sealedAt) busSuite("NatsBus with sealed messages", () => open(sealedAt, { sealing }));

const full = { ignore: !Deno.env.get("TEST_NATS_URL"), sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "NatsBus without a server rejects at once",
  ...full,
  ignore: false,
  fn: async () => {
    await using bus = new NatsBus(`nats://127.0.0.1:${await freePort()}`, options);
    await using _subscription = await bus.subscribe("a", () => {});
    await using _consumer = await bus.consume("events", "a", async () => {});
    await sleep(300);
    assert.equal(bus.connected, false);
    await assert.rejects(bus.publish("a", ""), BusUnavailable);
    await assert.rejects(bus.append("events", "a", ""), BusUnavailable);
    await assert.rejects(bus.request("a", "", 5_000), BusUnavailable);
  },
});

Deno.test({
  name: "NatsBus survives a reply that it cannot read",
  ...full,
  fn: async () => {
    const url = Deno.env.get("TEST_NATS_URL")!;
    const word = crypto.randomUUID();
    await using bus = new NatsBus(url, { log: quiet });
    await until("it is connected", () => bus.connected);
    await using _serving = await bus.serve(word, async (message) => message);
    const stranger = await connectNats({ servers: url });
    stranger.subscribe(`${word}.odd`, { callback: (_error, message) => void message.respond("{no frames}") });
    await stranger.flush();
    await assert.rejects(bus.request(`${word}.odd`, "", 200), NoReply);
    assert.equal(await bus.request(word, "still here", 5_000), "still here");
    await stranger.close();
  },
});

Deno.test({
  name: "NatsBus opened before its server starts has its subscriptions once the server runs",
  ...full,
  fn: async () => {
    await using server = await startNats();
    await server.kill();
    await using bus = new NatsBus(server.url, options);
    const got: string[] = [];
    await using _subscription = await bus.subscribe("a", (message) => void got.push(message));
    await using _consumer = await bus.consume("events", "a", async (message) => void got.push(message));
    await server.restart();
    await until("the message", () => bus.connected);
    await bus.publish("a", "signal");
    await bus.append("events", "1", "event");
    await until("the message", () => got.length === 2);
  },
});

for (const wipe of [false, true]) {
  for (const scheme of ["nats", "ws"]) {
    Deno.test({
      name: `NatsBus over ${scheme} survives a ${wipe ? "wiped" : "restarted"} server`,
      ...full,
      fn: async () => {
        await using server = await startNats();
        await using bus = await open(scheme === "ws" ? server.wsUrl : server.url);
        const changes: boolean[] = [];
        bus.onStatus((connected) => void changes.push(connected));
        const [core, stream]: string[][] = [[], []];
        await using _core = await bus.subscribe("word.*", (message) => void core!.push(message));
        await using _stream = await bus.consume("events", "reader", async (message) => void stream!.push(message));
        await using _serving = await bus.serve("served", async (message) => `${message}!`);
        await bus.publish("word.a", "1");
        await bus.append("events", "1", "1");
        await until("the message", () => core!.length === 1 && stream!.length === 1);

        await server.kill();
        await until("the message", () => !bus.connected);
        await assert.rejects(bus.publish("word.a", "lost"), BusUnavailable);
        await assert.rejects(bus.append("events", "lost", "lost"), BusUnavailable);
        await sleep(500);
        const start = Date.now();
        await server.restart({ wipe });
        await until("the message", () => bus.connected);
        assert.deepEqual(changes, [false, true]);

        await bus.publish("word.a", "2");
        await bus.append("events", "2", "2");
        await until("the message", () => core!.length === 2 && stream!.includes("2"));
        assert.ok(Date.now() - start < 15_000, `back after ${Date.now() - start} ms`);
        assert.deepEqual(core, ["1", "2"]);
        assert.equal(await bus.request("served", "2", 5_000), "2!");
        assert.equal(stream!.at(-1), "2");
        // Delivery is at least once. A server that was not wiped knows what was acknowledged.
        if (!wipe) assert.ok(stream!.length <= 3);
      },
    });
  }
}

Deno.test({
  name: "NatsBus delivers an unacknowledged message to the next consumer",
  ...full,
  fn: async () => {
    await using server = await startNats();
    const got: string[] = [];
    {
      await using first = await open(server.url);
      await first.append("jobs", "1", "1");
      await first.consume("jobs", "worker", async (message) => {
        got.push(`first ${message}`);
        throw new Error("expected");
      });
      await until("the message", () => got.length > 0);
    }
    await using second = await open(server.url);
    await using _consumer = await second.consume(
      "jobs",
      "worker",
      async (message) => void got.push(`second ${message}`),
    );
    await until("the message", () => got.includes("second 1"));
  },
});

async function open(url: string, more: NatsBusOptions = {}): Promise<NatsBus> {
  const bus = new NatsBus(url, { ...options, log: quiet, ...more });
  await until("the message", () => bus.connected);
  return bus;
}
