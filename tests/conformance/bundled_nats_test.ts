/** NATS with the configuration of `compose.yaml`: who may connect, and when silent clients are disconnected. */
import assert from "node:assert/strict";
import { natsAddress } from "../../lib/bus/nats_address.ts";
import { NatsBus } from "../../lib/bus/nats.ts";
import { Log } from "../../lib/log.ts";
import { sleep } from "../../lib/sleep.ts";
import { RawHttp } from "../support/raw_http.ts";
import { startBundledNats } from "../support/servers.ts";
import { until } from "../support/wait.ts";

const PASSWORD = "12345678";
const options = { log: new Log("error") };
const full = { ignore: !Deno.env.get("TEST_NATS_URL"), sanitizeOps: false, sanitizeResources: false };

Deno.test("The credentials of a NATS URL are options of the client", () => {
  const servers = "nats://127.0.0.1:4222";
  assert.deepEqual(natsAddress(servers), { servers });
  assert.deepEqual(natsAddress("nats://ada:a%40b@127.0.0.1:4222"), { servers, user: "ada", pass: "a@b" });
  assert.deepEqual(natsAddress("nats://s3cret@127.0.0.1:4222"), { servers, token: "s3cret" });
  assert.deepEqual(natsAddress("wss://ada:x@nats.test/"), { servers: "wss://nats.test", user: "ada", pass: "x" });
});

Deno.test({
  name: "The bundled NATS accepts only clients with its password",
  ...full,
  fn: async () => {
    await using server = await startBundledNats(PASSWORD);
    const url = (credentials: string) => server.url.replace("//", `//${credentials}`);
    await using bus = new NatsBus(url(`rookery:${PASSWORD}@`), options);
    const got: string[] = [];
    await until("it is connected", () => bus.connected);
    await using _consumer = await bus.consume("events", "a", async (message) => void got.push(message));
    await bus.append("events", "1", "event");
    await until("the message", () => got.length === 1);
    const refused = [new NatsBus(url(""), options), new NatsBus(url("rookery:wrong@"), options)];
    await sleep(1_000);
    assert.deepEqual(refused.map(({ connected }) => connected), [false, false]);
    for (const each of refused) await each[Symbol.asyncDispose]();
  },
});

Deno.test({
  name: "A client that is refused again and again reports no error but its missing connection",
  ...full,
  fn: async () => {
    await using server = await startBundledNats(PASSWORD);
    const errors: unknown[] = [];
    const note = (event: ErrorEvent) => {
      event.preventDefault();
      errors.push(event.error);
    };
    addEventListener("error", note);
    const clients = Array.from({ length: 60 }, () => new NatsBus(server.url, options));
    // A busy event loop reads the refusal and the reset of the connection in one turn.
    for (const end = Date.now() + 3_000; Date.now() < end; await sleep(Math.random() * 5)) busyFor(Math.random() * 8);
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    removeEventListener("error", note);
    assert.deepEqual(errors, []);
  },
});

function busyFor(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

Deno.test({
  name: "The bundled NATS disconnects a client that is silent for some seconds",
  ...full,
  fn: async () => {
    await using server = await startBundledNats(PASSWORD);
    const login = JSON.stringify({ user: "rookery", pass: PASSWORD, verbose: false });
    using silent = await RawHttp.open(server.url, `CONNECT ${login}\r\nSUB a 1\r\nPING\r\n`);
    await until("it is greeted", () => silent.received.includes("PONG"));
    await silent.closedWithin(10_000);
    assert.match(silent.received, /Stale Connection/);
  },
});
