/** A node that asks another one. The bus, HTTP and the other node's actors do as the test says. */
import assert from "node:assert/strict";
import { Directory } from "../../actors/runtime/directory.ts";
import { type NodeCall, NodeCalls } from "../../actors/runtime/node_calls.ts";
import { PlacedActors } from "../../actors/runtime/placed_actors.ts";
import type { Placement } from "../../actors/runtime/placement.ts";
import type { Command, Ref } from "../../actors/runtime/protocol.ts";
import type { AskOptions, LocalActors } from "../../actors/runtime/router.ts";
import { CallServer } from "../../actors/runtime/serve_calls.ts";
import type { Bus } from "../../lib/bus/bus.ts";
import { LocalBus } from "../../lib/bus/local.ts";
import { AppError } from "../../lib/errors.ts";
import { Log } from "../../lib/log.ts";
import { directoryRow } from "./directories.ts";

export const REF: Ref = { kind: "page", id: "01890000-0000-7000-8000-00000000000a" };
export const [HERE, THERE, THIRD] = ["00000001", "00000002", "00000003"];

export const quiet = new class extends Log {
  override error() {}
  override warn() {}
}("error");

/** Knows events up to `position`; more of them come when the test says so. */
export class Stream {
  #waiters: { seq: number; resolve: () => void }[] = [];
  /** Lets go of who waits though nothing came, as after a second. */
  gaveUp = false;

  #known = 0;

  constructor(public position = 5) {}

  get known(): number {
    return Math.max(this.position, this.#known);
  }

  applied(seq: number): Promise<void> {
    this.#known = Math.max(this.#known, seq);
    if (seq <= this.position || this.gaveUp) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ seq, resolve }));
  }

  moveTo(position: number): void {
    this.position = position;
    for (const { seq, resolve } of this.#waiters) if (seq <= position) resolve();
  }
}

export interface Asked {
  ref: Ref;
  command: Command;
  options: AskOptions | undefined;
}

export type Answer = (asked: Asked) => Promise<unknown>;

/** Actors that record what they are asked. */
export class FakeActors implements LocalActors {
  readonly asked: Asked[] = [];

  constructor(public answer: Answer) {}

  ask(ref: Ref, command: Command, options?: AskOptions): Promise<unknown> {
    this.asked.push({ ref, command, options });
    return this.answer(this.asked.at(-1)!);
  }
}

export class NodeWorld implements AsyncDisposable {
  readonly bus = new LocalBus({ log: quiet });
  readonly directory = new Directory();
  readonly here = new Stream();
  readonly there = new Stream();
  readonly actors: FakeActors;
  readonly server: CallServer;
  /** The calls that arrived at the other node, over the bus and over HTTP. */
  readonly arrived: { over: "bus" | "http"; call: NodeCall }[] = [];
  readonly lease = { holds: true };
  /** The partitions that this node has. */
  readonly mine = { accepts: false };
  readonly local: FakeActors;
  readonly placed: PlacedActors;
  isLeaving = false;
  refreshes = 0;
  /** What a look at the directory finds. */
  onRefresh = () => {};

  constructor(answer: Answer, wire: (bus: Bus) => Bus = (bus) => bus) {
    this.actors = new FakeActors(answer);
    this.local = new FakeActors(() => Promise.resolve("from here"));
    this.server = new CallServer({
      id: THERE,
      actors: this.actors,
      stream: this.there,
      directory: this.directory,
      log: quiet,
    });
    const calls = new NodeCalls({
      bus: wire(this.bus),
      http: (_, call) => {
        this.arrived.push({ over: "http", call });
        return this.server.answer(call);
      },
      history: "h",
      directory: this.directory,
    });
    this.placed = new PlacedActors({
      id: HERE,
      pool: { accepts: () => this.mine.accepts, stats: () => Promise.resolve([]) },
      local: this.local,
      directory: this.directory,
      placement: this.#placement(),
      calls,
      lease: this.lease,
      stream: this.here,
    });
    this.ownedBy(THERE);
  }

  #placement(): Pick<Placement, "refresh" | "isLeaving"> {
    const isLeaving = () => this.isLeaving;
    return {
      get isLeaving() {
        return isLeaving();
      },
      refresh: () => {
        this.refreshes++;
        this.onRefresh();
        return Promise.resolve();
      },
    };
  }

  /** This node has everything of this one, or of nobody. */
  ownedBy(owner: string | null, nodes: readonly string[] = [HERE, THERE, THIRD]): void {
    this.directory.update(directoryRow(Object.fromEntries(nodes.map((id) => [id, {}])), () => owner));
  }

  /** The other node accepts calls over the bus. */
  async serve(): Promise<AsyncDisposable> {
    return await this.bus.serve(`rookery.node.h.${THERE}`, async (message) => {
      const call: NodeCall = JSON.parse(message);
      this.arrived.push({ over: "bus", call });
      return JSON.stringify(await this.server.answer(call));
    });
  }

  ask(command: Command = { type: "x" }, options?: AskOptions): Promise<unknown> {
    return this.placed.ask(REF, command, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server[Symbol.dispose]();
    await this.bus[Symbol.asyncDispose]();
  }
}

export async function refusal(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof AppError, `${error}`);
    return error;
  }
  throw new Error("It was not refused");
}

/** Long enough for everything that does not wait. */
export const soon = () => new Promise((resolve) => setTimeout(resolve, 30));
