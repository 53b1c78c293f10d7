/** The ways of a call to another node: over the bus, over HTTP, or both. */
import assert from "node:assert/strict";
import { Directory } from "../../actors/runtime/directory.ts";
import {
  type HttpCaller,
  type NodeCall,
  NodeCalls,
  OutcomeUnknown,
  Unreachable,
} from "../../actors/runtime/node_calls.ts";
import { type Bus, BusUnavailable, NobodyThere, NoReply } from "../../lib/bus/bus.ts";
import { directoryRow } from "../support/directories.ts";
import { REF, soon, THERE, THIRD } from "../support/node_world.ts";

type Way = () => Promise<unknown>;

const answers = (value: unknown, afterMs = 0): Way => () =>
  new Promise((resolve) => setTimeout(() => resolve({ reply: { ok: true, value }, seq: 5 }), afterMs));
const fails = (error: Error, afterMs = 0): Way => () =>
  new Promise((_, reject) => setTimeout(() => reject(error), afterMs));
const silent: Way = () => new Promise(() => {});

class World {
  readonly directory = new Directory();
  /** What was sent over each way, in order. */
  readonly sent: { way: "bus" | "http"; to: string; call: NodeCall }[] = [];
  connected = true;
  readonly calls: NodeCalls;

  constructor(public bus: Way | undefined, public http: Way) {
    const request: Bus["request"] = async (subject, message) => {
      this.sent.push({ way: "bus", to: subject, call: JSON.parse(message) });
      return JSON.stringify(await this.bus!());
    };
    const isConnected = () => this.connected;
    const fake = {
      request,
      get connected() {
        return isConnected();
      },
    } as Bus;
    const caller = (async (url, call) => {
      this.sent.push({ way: "http", to: url, call });
      return await this.http();
    }) as HttpCaller;
    const parts = { http: caller, history: "h", directory: this.directory };
    this.calls = new NodeCalls({ ...parts, bus: bus ? fake : undefined });
    this.directory.update(directoryRow({ [THERE]: {}, [THIRD]: {} }));
  }

  async send(to = THERE, { url = `http://${to}` as string | null } = {}): Promise<unknown> {
    const node = this.directory.nodes.find(({ id }) => id === to)!;
    const call: NodeCall = { id: crypto.randomUUID(), to, ref: REF, command: { type: "x" }, deadline: 0, after: 0 };
    const { reply } = await this.calls.send({ ...node, url }, call, 4_000);
    return reply.ok && reply.value;
  }

  get ways(): string[] {
    return this.sent.map(({ way }) => way);
  }
}

Deno.test("A call that the bus delivers goes over the bus only", async () => {
  const world = new World(answers("bus"), answers("http"));
  assert.equal(await world.send(), "bus");
  assert.deepEqual(world.sent.map(({ way, to }) => [way, to]), [["bus", `rookery.node.h.${THERE}`]]);
});

Deno.test("A call that the bus certainly did not deliver goes over HTTP at once, under the same id", async () => {
  const world = new World(fails(new NobodyThere("expected")), answers("http"));
  const start = performance.now();
  assert.equal(await world.send(), "http");
  assert.ok(performance.now() - start < 250);
  assert.deepEqual(world.ways, ["bus", "http"]);
  assert.equal(world.sent[0]!.call.id, world.sent[1]!.call.id);
  assert.equal(world.sent[1]!.to, `http://${THERE}`);
});

Deno.test("A call without an answer over the bus for 300 ms goes over HTTP, too, under the same id", async () => {
  const world = new World(silent, answers("http"));
  const start = performance.now();
  assert.equal(await world.send(), "http");
  const took = performance.now() - start;
  assert.ok(took >= 290 && took < 1_500, `${took} ms`);
  assert.equal(world.sent[0]!.call.id, world.sent[1]!.call.id);
});

Deno.test("A node that answers over HTTP but not over the bus is asked over HTTP first from then on", async () => {
  for (const bus of [silent, fails(new NobodyThere("expected"))]) {
    const world = new World(bus, answers("http"));
    await world.send();
    world.bus = answers("bus");
    assert.equal(await world.send(), "http");
    assert.deepEqual(world.ways, ["bus", "http", "http"]);
    assert.equal(await world.send(THIRD), "bus", "other nodes are still asked over the bus");
  }
});

Deno.test("A slow answer over the bus counts, and the bus is used again", async () => {
  const world = new World(answers("bus", 400), silent);
  assert.equal(await world.send(), "bus");
  world.bus = answers("bus");
  await world.send();
  assert.deepEqual(world.ways, ["bus", "http", "bus"]);
});

Deno.test("A call is not made over a bus without connection if the node has an address", async () => {
  const world = new World(silent, answers("http"));
  world.connected = false;
  assert.equal(await world.send(), "http");
  assert.deepEqual(world.ways, ["http"]);
});

Deno.test("Without a bus calls go over HTTP, and to a node without an address over the bus", async () => {
  const over = async (world: World, url: string | null) => {
    await world.send(THERE, { url });
    return world.ways;
  };
  assert.deepEqual(await over(new World(undefined, answers("http")), "http://b"), ["http"]);
  assert.deepEqual(await over(new World(answers("bus"), answers("http")), null), ["bus"]);
  await assert.rejects(over(new World(undefined, answers("http")), null), Unreachable);
});

Deno.test("A call that certainly arrived over neither way is unreachable", async () => {
  const world = new World(fails(new BusUnavailable("expected")), fails(new Unreachable("expected")));
  await assert.rejects(world.send(), Unreachable);
  assert.deepEqual(world.ways, ["bus", "http"]);
});

for (
  const [what, bus, http] of [
    ["the bus", fails(new NoReply("none"), 350), fails(new Unreachable("expected"))],
    ["HTTP", fails(new NobodyThere("expected")), fails(new OutcomeUnknown("cut off"))],
    ["both", fails(new NoReply("none"), 350), fails(new OutcomeUnknown("cut off"))],
    ["the bus, early", fails(new NoReply("none")), answers("http")],
  ] as [string, Way, Way][]
) {
  Deno.test(`A call that may have arrived over ${what} has an unknown outcome`, async () => {
    const world = new World(bus, http);
    await assert.rejects(world.send(), OutcomeUnknown);
  });
}

Deno.test("A call ends when the lease of the asked node does, over whatever way it went", async () => {
  for (const afterMs of [20, 400]) {
    const world = new World(silent, silent);
    const asking = assert.rejects(world.send(), OutcomeUnknown);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    world.directory.update(directoryRow({ [THERE]: { left_ms: -1 }, [THIRD]: {} }));
    await asking;
  }
});

Deno.test("A call goes on while other nodes come and go", async () => {
  const world = new World(answers("bus", 60), silent);
  const asking = world.send();
  await soon();
  world.directory.update(directoryRow({ [THERE]: {} }));
  assert.equal(await asking, "bus");
});
