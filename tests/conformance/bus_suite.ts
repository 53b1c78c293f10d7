/** What every `Bus` driver must do (`lib/bus/bus.ts`). */
import assert from "node:assert/strict";
import { type Bus, BusUnavailable, MAX_REQUEST_BYTES, NobodyThere, NoReply } from "../../lib/bus/bus.ts";
import { sleep } from "../../lib/sleep.ts";
import { until } from "../support/wait.ts";

type BusTest = (name: string, run: (bus: Bus, word: string) => Promise<void>) => void;

/**
 * `open` returns a connected bus that pauses 50 ms before it repeats a message. Streams may have messages of earlier
 * tests.
 */
export function busSuite(driver: string, open: () => Promise<Bus>): void {
  const test: BusTest = (name, run) =>
    Deno.test({
      name: `${driver}: ${name}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        await using bus = await open();
        await run(bus, crypto.randomUUID());
      },
    });

  subscriptionTests(test);
  consumerTests(test);
  requestTests(test);
  serverTests(test);
  connectionTests(test);
}

function subscriptionTests(test: BusTest): void {
  test("delivers to current subscribers in order", async (bus, word) => {
    await bus.publish(`t.${word}`, "too early");
    const [first, second]: string[][] = [[], []];
    await using _first = await bus.subscribe(`t.${word}`, (message) => void first!.push(message));
    const leaving = await bus.subscribe(`t.${word}`, (message) => void second!.push(message));
    const sent = Array.from({ length: 200 }, (_, i) => `${i} ж`);
    for (const message of sent) await bus.publish(`t.${word}`, message);
    await until("the message", () => first!.length === 200 && second!.length === 200);
    assert.deepEqual(first, sent);
    await leaving[Symbol.asyncDispose]();
    await bus.publish(`t.${word}`, "after");
    await until("the message", () => first!.length === 201);
    assert.equal(second!.length, 200);
  });

  test("matches one word with * and the rest with >", async (bus, word) => {
    const got: Record<string, string[]> = { "*": [], ">": [], "*.x": [] };
    for (const pattern of Object.keys(got)) {
      await bus.subscribe(`${word}.${pattern}`, (_message, subject) => void got[pattern]!.push(subject.slice(37)));
    }
    for (const subject of ["a", "a.x", "a.y", "a.x.z"]) await bus.publish(`${word}.${subject}`, "");
    await bus.publish(word, "");
    await bus.publish(`${word}.end`, "");
    await until("the message", () => got[">"]!.at(-1) === "end");
    assert.deepEqual(got, { "*": ["a", "end"], ">": ["a", "a.x", "a.y", "a.x.z", "end"], "*.x": ["a.x"] });
  });

  test("runs a subscription's handler on one message at a time, and continues after a failure", async (bus, word) => {
    let running = 0;
    const done: string[] = [];
    await using _subscription = await bus.subscribe(word, async (message) => {
      assert.equal(++running, 1);
      await sleep(1);
      running--;
      done.push(message);
      if (message === "3") throw new Error("expected");
    });
    for (let i = 0; i < 10; i++) await bus.publish(word, `${i}`);
    await until("the message", () => done.length === 10);
  });

  test("never calls a subscriber within publish", async (bus, word) => {
    let ran = false;
    await using _subscription = await bus.subscribe(word, () => void (ran = true));
    const publishing = bus.publish(word, "");
    assert.equal(ran, false);
    await publishing;
    await until("the message", () => ran);
  });
}

function consumerTests(test: BusTest): void {
  test("gives a new consumer all stored messages in order, each id once", async (bus, word) => {
    const sent = Array.from({ length: 50 }, (_, i) => `${word} ${i}`);
    for (const [i, message] of sent.entries()) await bus.append("events", `${word}-${i}`, message);
    await bus.append("events", `${word}-7`, `${word} twice`);
    const got: string[] = [];
    await using _consumer = await bus.consume("events", `n${word}`, async (message) => {
      if (message.startsWith(word)) got.push(message);
    });
    await until("the message", () => got.length >= 50);
    await bus.append("events", `${word}-last`, `${word} last`);
    await until("the message", () => got.length >= 51);
    assert.deepEqual(got, [...sent, `${word} last`]);
  });

  test("repeats a message whose handler threw before any later one", async (bus, word) => {
    const got: string[] = [];
    await using _consumer = await bus.consume("jobs", `n${word}`, async (message) => {
      if (!message.startsWith(word)) return;
      got.push(message.slice(37));
      if (message.endsWith("b") && got.filter((each) => each === "b").length < 3) throw new Error("expected");
    });
    for (const each of ["a", "b", "c"]) await bus.append("jobs", `${word}-${each}`, `${word} ${each}`);
    await until("the message", () => got.includes("c"));
    assert.deepEqual(got, ["a", "b", "b", "b", "c"]);
  });

  test(
    "gives each message to one consumer of a name, which continues where the last one stopped",
    async (bus, word) => {
      const got: [consumer: number, message: string][] = [];
      const consume = (consumer: number) =>
        bus.consume("jobs", `n${word}`, async (message) => {
          if (message.startsWith(word)) got.push([consumer, message.slice(37)]);
        });
      const both = [await consume(1), await consume(2)];
      for (let i = 0; i < 20; i++) await bus.append("jobs", `${word}-${i}`, `${word} ${i}`);
      await until("the message", () => got.length >= 20);
      for (const each of both) await each[Symbol.asyncDispose]();
      await bus.append("jobs", `${word}-20`, `${word} 20`);
      await sleep(50);
      assert.equal(got.length, 20);
      await using _third = await consume(3);
      await until("the message", () => got.length >= 21);
      assert.deepEqual(got.map(([, message]) => message), Array.from({ length: 21 }, (_, i) => `${i}`));
      assert.equal(got.at(-1)![0], 3);
    },
  );

  test("gives a consumer that starts at the next message only later messages", async (bus, word) => {
    await bus.append("jobs", `${word}-early`, `${word} early`);
    const got: string[] = [];
    await using _consumer = await bus.consume("jobs", `n${word}`, async (message) => {
      if (message.startsWith(word)) got.push(message.slice(37));
    }, { from: "next", passing: true });
    // It starts at its registration on the server.
    for (let i = 0; got.length === 0; i++) {
      await bus.append("jobs", `${word}-probe-${i}`, `${word} probe`);
      await sleep(20);
    }
    await bus.append("jobs", `${word}-last`, `${word} last`);
    await until("the message", () => got.at(-1) === "last");
    assert.ok(!got.includes("early"));
  });
}

function requestTests(test: BusTest): void {
  test("answers concurrent requests, each with its own reply", async (bus, word) => {
    let waiting = 0;
    let most = 0;
    await using _serving = await bus.serve(word, async (message) => {
      most = Math.max(most, ++waiting);
      await sleep(10);
      waiting--;
      return `${message} ж`;
    });
    const asked = Array.from({ length: 50 }, (_, i) => `${i}`);
    const replies = await Promise.all(asked.map((message) => bus.request(word, message, 5_000)));
    assert.deepEqual(replies, asked.map((message) => `${message} ж`));
    assert.ok(most > 1, "requests waited for each other");
  });

  test("transports replies of any length, including empty ones", async (bus, word) => {
    await using _serving = await bus.serve(word, async (message) => "ж".repeat(Number(message)));
    for (const length of [0, 1, 262_144, 262_145, 2_500_000]) {
      assert.equal(await bus.request(word, String(length), 5_000), "ж".repeat(length));
    }
  });

  test("transports requests and replies of any length at the same time", async (bus, word) => {
    // The reply repeats the request; a request for none gets none.
    await using _serving = await bus.serve(word, async (message) => {
      if (message === "none") throw new Error("expected");
      return `${message}|${message}`;
    });
    const lengths = [0, 1, 400_000, 20_000, 2, 33_000, 170_000, 3, 70_000, 380_000, 5];
    const messages = lengths.map((length, i) => `${i} 7\n`.padEnd(length, "ж".repeat(i % 2) + "x\n"));
    const silent = assert.rejects(bus.request(word, "none", 300), NoReply);
    const nobody = assert.rejects(bus.request(`${word}.nobody`, "", 5_000), NobodyThere);
    const replies = await Promise.all(messages.map((message) => bus.request(word, message, 5_000)));
    assert.ok(replies.every((reply, i) => reply === `${messages[i]}|${messages[i]}`), "each has its own reply");
    await Promise.all([silent, nobody]);
  });

  test("accepts requests up to the size limit", async (bus, word) => {
    await using _serving = await bus.serve(word, async (message) => String(message.length));
    assert.equal(await bus.request(word, "x".repeat(MAX_REQUEST_BYTES), 5_000), String(MAX_REQUEST_BYTES));
    await assert.rejects(bus.request(word, "x".repeat(MAX_REQUEST_BYTES + 1), 5_000), RangeError);
  });
}

function serverTests(test: BusTest): void {
  test("reports at once that a subject has no server, also after the last one has left", async (bus, word) => {
    const start = Date.now();
    await assert.rejects(bus.request(word, "", 10_000), NobodyThere);
    const serving = await bus.serve(word, async () => "here");
    assert.equal(await bus.request(word, "", 5_000), "here");
    await serving[Symbol.asyncDispose]();
    await assert.rejects(bus.request(word, "", 10_000), (error) => error instanceof BusUnavailable);
    assert.ok(Date.now() - start < 5_000);
  });

  test("gives each request to one of the servers", async (bus, word) => {
    const got: string[] = [];
    for (const name of ["first", "second"]) {
      await bus.serve(word, async (message) => {
        got.push(message);
        return name;
      });
    }
    await Promise.all(Array.from({ length: 30 }, (_, i) => bus.request(word, `${i}`, 5_000)));
    await sleep(50);
    assert.equal(got.length, 30);
  });

  test("answers requests received before it stopped serving", async (bus, word) => {
    const gate = Promise.withResolvers<void>();
    let taken = false;
    const serving = await bus.serve(word, async () => {
      taken = true;
      await gate.promise;
      return "late";
    });
    const asked = bus.request(word, "", 5_000);
    await until("the message", () => taken);
    await serving[Symbol.asyncDispose]();
    gate.resolve();
    assert.equal(await asked, "late");
  });

  test("distinguishes a missing reply from a request that nobody received", async (bus, word) => {
    await using _slow = await bus.serve(`${word}.slow`, () => new Promise(() => {}));
    await using _failing = await bus.serve(`${word}.failing`, () => Promise.reject(new Error("expected")));
    for (const subject of [`${word}.slow`, `${word}.failing`]) {
      await assert.rejects(bus.request(subject, "", 100), NoReply);
    }
  });

  test("never runs a server within request", async (bus, word) => {
    let ran = false;
    await using _serving = await bus.serve(word, async () => {
      ran = true;
      return "";
    });
    const asked = bus.request(word, "", 5_000);
    assert.equal(ran, false);
    await asked;
  });
}

function connectionTests(test: BusTest): void {
  test("reports that it is connected", async (bus) => {
    assert.equal(bus.connected, true);
  });
}
