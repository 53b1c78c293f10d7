/** What every program of this project answers alike on its command line. */

/** Prints `usage` and ends the process with 0 where `--help` or `-h` is given. What follows `--` is data and does not count. */
export function offerHelp(usage: string): void {
  const end = Deno.args.indexOf("--");
  const words = end < 0 ? Deno.args : Deno.args.slice(0, end);
  if (!words.includes("--help") && !words.includes("-h")) return;
  print(Deno.stdout, usage);
  Deno.exit(0);
}

/** For a program without arguments: offers help, and ends the process with 2 where anything else is given. */
export function takesNoArguments(usage: string): void {
  offerHelp(usage);
  if (Deno.args.length === 0) return;
  print(Deno.stderr, `Unexpected argument "${Deno.args[0]}"\n${usage}`);
  Deno.exit(2);
}

function print(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(`${text}\n`);
  for (let sent = 0; sent < bytes.length;) sent += to.writeSync(bytes.subarray(sent));
}
