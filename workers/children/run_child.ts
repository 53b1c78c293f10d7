import { leaveSignalsToParent } from "../../lib/signals.ts";
import { printLine } from "../../lib/write_text.ts";

export interface ChildServer {
  port: number;
  /** What must stop in order. Everything else ends with the process. */
  stop?: () => PromiseLike<void>;
}

/** A setting from the environment; undefined if it is empty. */
export type Setting = (name: string) => string | undefined;

/**
 * Runs this process as a child: starts its server, prints the port as the first line, and ends with its standard input,
 * which closes when the parent stops it or dies.
 */
export async function runChild(start: (setting: Setting) => Promise<ChildServer>): Promise<never> {
  leaveSignalsToParent();
  const { port, stop } = await start((name) => Deno.env.get(name) || undefined);
  printLine(JSON.stringify({ port }));
  for await (const _ of Deno.stdin.readable);
  await stop?.();
  Deno.exit(0);
}
