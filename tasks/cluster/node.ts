import { within } from "../../lib/sleep.ts";
import { KeptProcess, type ProcessPlan } from "./kept_process.ts";

export type NodeState = "starting" | "ready" | "degraded" | "not-ready" | "draining" | "stopped";

/** Pause before a node that ended is started again. */
export const RESTART_MS = 8_000;
const CHECK_MS = 2_000;

interface NodeOptions extends Omit<ProcessPlan, "isReady" | "restartMs"> {
  port: number;
}

/** A node of the cluster, which is started again when it ends. */
export class ClusterNode extends KeptProcess {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  #answer: NodeState = "starting";
  #checking: Promise<void> | undefined;

  constructor({ port, ...plan }: NodeOptions) {
    const reached = async () => {
      await this.check();
      return this.#answer !== "starting" && this.#answer !== "draining";
    };
    super({ ...plan, isReady: () => reached(), restartMs: RESTART_MS });
    this.name = plan.name;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Resolves when it answers. */
  async open(): Promise<void> {
    await this.begin();
  }

  get state(): NodeState {
    return this.pid === undefined ? "stopped" : this.#answer;
  }

  /** Asks the node for its state. */
  check(): Promise<void> {
    return this.#checking ??= this.#check().finally(() => this.#checking = undefined);
  }

  /** It refused a connection. */
  refused(): void {
    this.#answer = "starting";
  }

  async #check(): Promise<void> {
    this.#answer = await within(CHECK_MS, readyz(this.url)) ?? "not-ready";
  }
}

async function readyz(url: string): Promise<NodeState> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(CHECK_MS) });
    return (await response.json() as { status: NodeState }).status;
  } catch (error) {
    return error instanceof DOMException ? "not-ready" : "starting";
  }
}
