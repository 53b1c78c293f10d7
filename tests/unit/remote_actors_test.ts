/** Actors asked over a bus, with actors and streams that the test controls. */
import assert from "node:assert/strict";
import type { ActorRouter, AskOptions } from "../../actors/runtime/router.ts";
import { type Bus, MAX_REQUEST_BYTES, NoReply } from "../../lib/bus/bus.ts";
import { LocalBus } from "../../lib/bus/local.ts";
import type { Command, Ref } from "../../actors/runtime/protocol.ts";
import { RemoteActors } from "../../actors/runtime/remote_actors.ts";
import { serveActors } from "../../actors/runtime/serve_actors.ts";
import { AppError } from "../../lib/errors.ts";
import { Log } from "../../lib/log.ts";
import { sleep } from "../../lib/sleep.ts";

const REF: Ref = { kind: "page", id: "01890000-0000-7000-8000-00000000000a" };
const quiet = new class extends Log {
  override error() {}
}("error");

/** Has events up to `position`; the test moves it. */
class Stream {
  #waiters: { seq: number; resolve: () => void }[] = [];
  /** Ends all waiting without an event, as after the timeout. */
  gaveUp = false;

  constructor(public position: number) {}

  applied(seq: number): Promise<void> {
    if (seq <= this.position || this.gaveUp) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ seq, resolve }));
  }

  moveTo(position: number): void {
    this.position = position;
    for (const { seq, resolve } of this.#waiters) if (seq <= position) resolve();
  }
}

interface Asked {
  ref: Ref;
  command: Command;
  options: AskOptions | undefined;
}

interface World {
  remote: RemoteActors;
  bus: Bus;
  here: Stream;
  there: Stream;
  asked: Asked[];
  serve: () => Promise<AsyncDisposable>;
}

/** `answer` stands for the actors. */
async function world(answer: (asked: Asked) => Promise<unknown>, run: (world: World) => Promise<void>): Promise<void> {
  await using bus = new LocalBus({ log: quiet });
  const [here, there] = [new Stream(5), new Stream(5)];
  const asked: Asked[] = [];
  const actors = {
    ask: (ref: Ref, command: Command, options?: AskOptions) => {
      asked.push({ ref, command, options });
      return answer(asked.at(-1)!);
    },
  } as unknown as ActorRouter;
  const serve = () => serveActors({ bus, history: "h", actors, stream: there, log: quiet });
  const remote = new RemoteActors({ bus, history: "h", stream: here });
  await run({ remote, bus, here, there, asked, serve });
}

async function refusal(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof AppError, `${error}`);
    return error;
  }
  throw new Error("It was not refused");
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 30));

Deno.test("A command reaches the actor with its receipt and the remaining time, and its value is returned", () =>
  world(async () => ({ done: ["ж", null] }), async ({ remote, asked, serve }) => {
    await serve();
    const value = await remote.ask(REF, { type: "like" }, { timeoutMs: 4_000, receipt: "r" });
    assert.deepEqual(value, { done: ["ж", null] });
    const [{ ref, command, options }] = asked as [Asked];
    assert.deepEqual([ref, command, options?.receipt], [REF, { type: "like" }, "r"]);
    assert.ok(options!.timeoutMs! > 3_500 && options!.timeoutMs! <= 4_000, `${options!.timeoutMs}`);
  }));

Deno.test("A refusal is returned unchanged", () =>
  world(() => {
    const errors = [{ path: "a", rule: "b", message: "c" }];
    return Promise.reject(new AppError("validation", "words", { errors, retryAfter: 7 }));
  }, async ({ remote, serve }) => {
    await serve();
    const { code, message, errors, retryAfter } = await refusal(remote.ask(REF, { type: "x" }));
    assert.deepEqual([code, message, retryAfter], ["validation", "words", 7]);
    assert.deepEqual(errors, [{ path: "a", rule: "b", message: "c" }]);
  }));

Deno.test("A fault on the other node reveals no details", () =>
  world(() => Promise.reject(new Error("a secret")), async ({ remote, serve }) => {
    await serve();
    const { code, message } = await refusal(remote.ask(REF, { type: "x" }));
    assert.equal(code, "internal");
    assert.doesNotMatch(message, /secret/);
  }));

Deno.test("The actors are asked after they have the asking node's events", () =>
  world(async () => "value", async ({ remote, here, there, asked, serve }) => {
    await serve();
    here.moveTo(9);
    const asking = remote.ask(REF, { type: "x" });
    await soon();
    assert.equal(asked.length, 0);
    there.moveTo(9);
    assert.equal(await asking, "value");
  }));

Deno.test("Actors that remain behind the asking node are not asked", () =>
  world(async () => "old", async ({ remote, here, there, asked, serve }) => {
    await serve();
    here.moveTo(9);
    there.gaveUp = true;
    const { status, retryAfter } = await refusal(remote.ask(REF, { type: "x" }));
    assert.deepEqual([status, retryAfter, asked.length], [503, 1, 0]);
  }));

Deno.test("The answer waits until the asking node has its events", () =>
  world(async () => "value", async ({ remote, here, there, serve }) => {
    await serve();
    there.moveTo(12);
    let answered = false;
    const asking = remote.ask(REF, { type: "x" }).then(() => answered = true);
    await soon();
    assert.equal(answered, false);
    here.moveTo(12);
    await asking;
  }));

Deno.test("A call without a node with actors is retried, and succeeds when one appears", () =>
  world(async () => "value", async ({ remote, asked, serve }) => {
    const asking = remote.ask(REF, { type: "x" });
    await sleep(400);
    await serve();
    assert.equal(await asking, "value");
    assert.equal(asked.length, 1);
  }));

Deno.test("A call that cannot be answered in its remaining time is refused with 503", () =>
  world(async () => "value", async ({ remote }) => {
    const start = performance.now();
    const { code, status, retryAfter } = await refusal(remote.ask(REF, { type: "x" }, { timeoutMs: 5_300 }));
    assert.deepEqual([code, status, retryAfter], ["actors-unavailable", 503, 1]);
    assert.ok(performance.now() - start < 1_000);
    await assert.rejects(remote.reach());
  }));

Deno.test("A call that may have been received is not sent again: its outcome is unknown", () =>
  world(async () => "value", async ({ bus, here }) => {
    let sent = 0;
    const deaf = Object.assign(Object.create(bus) as Bus, {
      request: () => {
        sent++;
        return Promise.reject(new NoReply("none"));
      },
    });
    const remote = new RemoteActors({ bus: deaf, history: "h", stream: here });
    const { code, status } = await refusal(remote.ask(REF, { type: "x" }));
    assert.deepEqual([code, status, sent], ["outcome-unknown", 504, 1]);
  }));

Deno.test("A command over the limit is rejected and not sent", () =>
  world(async () => "value", async ({ remote, asked, serve }) => {
    await serve();
    const command = { type: "x", text: "x".repeat(MAX_REQUEST_BYTES) } as Command;
    assert.equal((await refusal(remote.ask(REF, command))).status, 413);
    assert.equal(asked.length, 0);
  }));

Deno.test("The longest commands of callers fit the limit", () => {
  const id = crypto.randomUUID();
  // Escaped control characters take the most bytes.
  const words = (length: number) => "\u0001".repeat(length);
  const photo = { id, key: words(200), staged_key: words(200), name: words(200), alt: words(1_000) };
  const post = {
    text: words(4_000),
    place: words(200),
    tagged: Array.from({ length: 50 }, () => id),
    tagged_logins: Array.from({ length: 50 }, () => words(64)),
    photos: Array.from({ length: 10 }, () => photo),
  };
  const answered = { user_ids: Array.from({ length: 1_000 }, () => id) };
  const page = { description: words(2_000), name: words(80), tags: Array.from({ length: 30 }, () => words(30)) };
  for (const command of [post, answered, page]) {
    const { length } = new TextEncoder().encode(JSON.stringify(command));
    assert.ok(length < MAX_REQUEST_BYTES / 2, `${length} bytes`);
  }
});

Deno.test("Calls in progress are counted, and closing waits for them", () => {
  const gate = Promise.withResolvers<string>();
  return world(() => gate.promise, async ({ remote, serve }) => {
    await serve();
    const asking = remote.ask(REF, { type: "x" });
    await soon();
    assert.equal(remote.waiting, 1);
    setTimeout(() => gate.resolve("value"), 50);
    await remote.drain(5_000);
    assert.equal(remote.waiting, 0);
    assert.equal(await asking, "value");
    await remote[Symbol.asyncDispose]();
    assert.equal((await refusal(remote.ask(REF, { type: "x" }))).code, "draining");
  });
});
