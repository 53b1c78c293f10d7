/** Who may publish on a shared NATS can neither read nor forge nor redirect what processes of an installation send. */
import assert from "node:assert/strict";
import { headers, type Msg, type NatsConnection } from "@nats-io/nats-core";
import { type Bus, BusUnavailable, NoReply } from "../../lib/bus/bus.ts";
import { connectNats } from "../../lib/bus/nats_transport.ts";
import { Log } from "../../lib/log.ts";
import { threadSamples } from "../../lib/metrics/registry.ts";
import { sleep } from "../../lib/sleep.ts";
import { Secret } from "../../security/secret.ts";
import { openBus } from "../../workers/roles/bus.ts";
import { until } from "../support/wait.ts";

const url = Deno.env.get("TEST_NATS_URL")!;
const quiet = new class extends Log {
  override warn() {}
  override error() {}
}("error");

/** Two processes of an installation, and a stranger who hears and repeats everything. */
class World implements AsyncDisposable {
  readonly word = `sealed.${crypto.randomUUID()}`;
  readonly here = busOf("a");
  readonly there = busOf("a");
  readonly overheard: Msg[] = [];

  private constructor(readonly stranger: NatsConnection) {
    stranger.subscribe(">", { callback: (_error, message) => void this.overheard.push(message) });
  }

  static async open(): Promise<World> {
    const world = new World(await connectNats({ servers: url }));
    await world.stranger.flush();
    await until("both are connected", () => world.here.connected && world.there.connected);
    return world;
  }

  /** What was heard on subjects that start so. */
  on(subject: string): Msg[] {
    return this.overheard.filter((message) => message.subject.startsWith(subject));
  }

  /** All texts that were heard; sealed ones are noise. */
  get text(): string {
    return this.overheard.map(({ data }) => new TextDecoder("latin1").decode(data)).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.here[Symbol.asyncDispose](), this.there[Symbol.asyncDispose](), this.stranger.close()]);
  }
}

/** As nodes and `jobs` processes open it. */
function busOf(letter: string): Bus {
  return openBus(url, new Secret(letter.repeat(32)), quiet);
}

async function rejected(): Promise<number> {
  const samples = await threadSamples();
  const sample = samples.find(({ name }) => name === "rookery_bus_rejected_messages_total");
  return sample!.values[0]?.value ?? 0;
}

function test(name: string, run: (world: World) => Promise<void>): void {
  const fn = async () => {
    await using world = await World.open();
    await run(world);
  };
  Deno.test({ name, ignore: !url, sanitizeOps: false, sanitizeResources: false, fn });
}

test("A stranger on NATS reads no signal, no request and no reply, in one message or in pieces", async (world) => {
  const { here, there, word } = world;
  const got: string[] = [];
  await using _subscription = await there.subscribe(word, (message) => void got.push(message));
  await using _serving = await there.serve(
    `${word}.served`,
    async (message) => `secret ${message}`.repeat(Number(message)),
  );
  await here.publish(word, "a secret signal");
  for (const times of ["1", "90000"]) {
    const reply = await here.request(`${word}.served`, times, 5_000);
    assert.equal(reply, `secret ${times}`.repeat(Number(times)));
  }
  await until("the signal", () => got.length === 1);
  await until("the stranger hears all", () => world.on(word).length === 3 && world.on("_INBOX").length >= 3);
  assert.ok(!world.text.includes("secret"));
});

test("A forged or repeated signal is dropped, and counted", async (world) => {
  const { here, there, word, stranger } = world;
  const got: string[] = [];
  await using _subscription = await there.subscribe(`${word}.*`, (message) => void got.push(message));
  const before = await rejected();
  stranger.publish(`${word}.a`, "forged");
  stranger.publish(`${word}.a`, "");
  await using other = busOf("b");
  await until("it is connected", () => other.connected);
  await other.publish(`${word}.a`, "of another installation");
  await here.publish(`${word}.a`, "real");
  await until("the real one", () => got.length > 0 && world.on(word).length === 4);
  // To another subject than it was for.
  stranger.publish(`${word}.b`, world.on(word).at(-1)!.data);
  await stranger.flush();
  await here.publish(`${word}.a`, "the last");
  await until("the last one", () => got.at(-1) === "the last");
  assert.deepEqual(got, ["real", "the last"]);
  assert.equal(await rejected() - before, 4);
});

test("A forged request is not served", async (world) => {
  const { here, there, word, stranger } = world;
  const served: string[] = [];
  await using _serving = await there.serve(word, async (message) => `done ${served.push(message)}`);
  const reply = "_INBOX.stranger.1.1";
  stranger.publish(word, "_INBOX.stranger\n1 8\nset_role", { reply });
  stranger.publish(word, "1 8\nset_role", { reply });
  await stranger.flush();
  assert.equal(await here.request(word, "real", 5_000), "done 1");
  assert.deepEqual(served, ["real"]);
});

test("A forged reply is ignored, whole or in pieces, and the real one still counts", async (world) => {
  const { here, there, word, stranger } = world;
  const gate = Promise.withResolvers<void>();
  await using _serving = await there.serve(word, async () => {
    await gate.promise;
    return "real";
  });
  const asked = here.request(word, "", 5_000);
  await until("the request", () => world.on(word).length === 1);
  const [first] = world.on(word)[0]!.reply!.split(".").slice(-2);
  const inbox = world.on(word)[0]!.reply!.split(".").slice(0, -2).join(".");
  stranger.publish(`${inbox}.replies`, `${first} 6\nforged`);
  const head = headers();
  head.set("Rookery-Piece", `${first}/1/1`);
  stranger.publish(`${inbox}.replies`, "forged", { headers: head });
  await stranger.flush();
  await sleep(50);
  gate.resolve();
  assert.equal(await asked, "real");
});

test("The reply to a repeated request is good for nobody else", async (world) => {
  const { here, there, word, stranger } = world;
  await using victim = busOf("a");
  await until("it is connected", () => victim.connected);
  await using _serving = await there.serve(word, async (message) => `reply to ${message}`);
  // Both count their requests from one.
  assert.equal(await here.request(word, "the first of one process", 5_000), "reply to the first of one process");
  await using silent = await there.serve(`${word}.silent`, () => new Promise(() => {}));
  const refused = assert.rejects(
    victim.request(`${word}.silent`, "", 700),
    (error) => error instanceof NoReply || error instanceof BusUnavailable,
  );
  await until("its request", () => world.on(`${word}.silent`).length === 1);
  const request = world.on(word).find(({ subject }) => subject === word)!;
  stranger.publish(word, request.data, { reply: world.on(`${word}.silent`)[0]!.reply! });
  await refused;
  assert.ok(silent);
});
