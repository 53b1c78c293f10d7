import { leaveSignalsToParent } from "../../lib/signals.ts";
import { printLine } from "../../lib/write_text.ts";

export interface ChildServer {
  port: number;
  /** What must end in order. All else ends with the process. */
  stop?: () => PromiseLike<void>;
}

/** A setting from the environment; one that is empty is not there. */
export type Setting = (name: string) => string | undefined;

/**
 * Runs this process as a child: it starts what it serves, prints the port in its first line, and ends with its standard input, which the
 * parent only ever closes, on purpose or by its death.
 */
export async function runChild(start: (setting: Setting) => Promise<ChildServer>): Promise<never> {
  leaveSignalsToParent();
  const { port, stop } = await start((name) => Deno.env.get(name) || undefined);
  printLine(JSON.stringify({ port }));
  for await (const _ of Deno.stdin.readable);
  await stop?.();
  Deno.exit(0);
}
