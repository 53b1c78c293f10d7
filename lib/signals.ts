/**
 * For child processes that end with their standard input: Ctrl-C in a terminal reaches them too, while their parent
 * still drains and needs them.
 */
export function leaveSignalsToParent(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => {});
}
