/** A bus and HTTP between simulated nodes: messages are late, out of order and lost. */
import { type Bus, BusUnavailable, NobodyThere, NoReply, type Subscription } from "../../lib/bus/bus.ts";
import { type HttpCaller, type NodeAnswer, type NodeCall, Unreachable } from "../../actors/runtime/node_calls.ts";
import type { Seeded } from "../support/seeded.ts";
import type { Process, SimulatedClock } from "./clock.ts";

type Handler = (message: string) => Promise<string>;
type Listener = (message: string, subject: string) => void;

/** How a process is cut off from the bus. */
export type Cut = "none" | "refuse" | "swallow";

export interface NetworkOptions {
  /** The share of messages that are lost although both ends are connected. */
  loss: number;
  maxDelayMs: number;
}

export class SimulatedNetwork {
  /** Set while the bus is down for everybody. */
  isDown = false;
  readonly cuts = new Map<Process, Cut>();
  readonly buses = new Map<Process, SimulatedBus>();
  /** What a node answers over HTTP, by its address. */
  readonly http = new Map<string, { process: Process; answer: (call: NodeCall) => Promise<NodeAnswer> }>();

  constructor(readonly clock: SimulatedClock, readonly random: Seeded, readonly options: NetworkOptions) {}

  busOf(process: Process): SimulatedBus {
    const bus = new SimulatedBus(this, process);
    this.buses.set(process, bus);
    return bus;
  }

  /** Whether messages of this process arrive; "refuse" is noticed, "swallow" is not. */
  stateOf(process: Process): Cut {
    if (process.isDead || this.isDown) return "refuse";
    return this.cuts.get(process) ?? "none";
  }

  delay(): number {
    const { random, options } = this;
    // Most are fast, some are very late.
    return random.chance(0.9) ? random.next() * 3 : random.next() * options.maxDelayMs;
  }

  /** Delivers after a while, unless it is lost on the way. */
  send(from: Process, to: Process, deliver: () => void): void {
    if (this.stateOf(from) !== "none" || this.random.chance(this.options.loss)) return;
    this.clock.after(this.delay(), to, () => {
      if (this.stateOf(to) === "none") deliver();
    });
  }

  httpCaller(from: Process): HttpCaller {
    return (url, call, timeoutMs) =>
      new Promise<NodeAnswer>((resolve, reject) => {
        const { clock } = this;
        const target = this.http.get(url);
        const gone = () => clock.after(this.delay(), from, () => reject(new Unreachable("connection refused")));
        if (!target || target.process.isDead) return void gone();
        clock.after(timeoutMs, from, () => reject(new NoReply("no answer over HTTP")));
        clock.after(this.delay(), target.process, () => {
          const text = JSON.stringify(call);
          void target.answer(JSON.parse(text)).then((answer) =>
            clock.after(this.delay(), from, () => resolve(JSON.parse(JSON.stringify(answer))))
          );
        });
      });
  }
}

export class SimulatedBus implements Pick<Bus, "publish" | "subscribe" | "request" | "serve" | "connected"> {
  readonly listeners: { subject: string; listener: Listener }[] = [];
  readonly servers = new Map<string, Handler>();

  constructor(private readonly network: SimulatedNetwork, private readonly process: Process) {}

  get connected(): boolean {
    return this.network.stateOf(this.process) !== "refuse";
  }

  publish(subject: string, message: string): Promise<void> {
    if (!this.connected) return Promise.reject(new BusUnavailable("not connected"));
    for (const [process, bus] of this.network.buses) {
      for (const each of bus.listeners) {
        if (each.subject !== subject) continue;
        this.network.send(this.process, process, () => each.listener(message, subject));
      }
    }
    return Promise.resolve();
  }

  subscribe(subject: string, listener: Listener): Promise<Subscription> {
    this.listeners.push({ subject, listener });
    return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
  }

  request(subject: string, message: string, timeoutMs: number): Promise<string> {
    const { network, process } = this;
    if (!this.connected) return Promise.reject(new BusUnavailable("not connected"));
    return new Promise((resolve, reject) => {
      network.clock.after(timeoutMs, process, () => reject(new NoReply("no reply")));
      const found = [...network.buses].find(([to, bus]) =>
        bus.servers.has(subject) && network.stateOf(to) !== "refuse"
      );
      if (!found) {
        network.clock.after(network.delay(), process, () => reject(new NobodyThere("nobody serves the subject")));
        return;
      }
      const [to, bus] = found;
      network.send(process, to, () => {
        void bus.servers.get(subject)?.(message).then((reply) => network.send(to, process, () => resolve(reply)));
      });
    });
  }

  serve(subject: string, handler: Handler): Promise<Subscription> {
    this.servers.set(subject, handler);
    return Promise.resolve({
      [Symbol.asyncDispose]: () => {
        this.servers.delete(subject);
        return Promise.resolve();
      },
    });
  }
}
