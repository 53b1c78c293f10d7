/** The processes of this machine, by `/proc`. */
export interface Process {
  pid: number;
  command: string;
}

/** All below it, its children's children too. */
export async function childrenOf(pid: number): Promise<Process[]> {
  const parents = new Map<number, number>();
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    // After the name, which may hold anything: state, parent.
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (Number.isInteger(parent)) parents.set(Number(name), parent);
  }
  const found: Process[] = [];
  for (const [child] of parents) {
    for (let at: number | undefined = parents.get(child); at; at = parents.get(at)) {
      if (at !== pid) continue;
      const command = await commandOf(child);
      if (command !== "") found.push({ pid: child, command });
      break;
    }
  }
  return found;
}

/** Those of them that still run; a number that went to somebody else does not count. */
export async function processesOf(processes: readonly Process[]): Promise<Process[]> {
  const running = await Promise.all(processes.map(async ({ pid, command }) => await commandOf(pid) === command));
  return processes.filter((_, i) => running[i]);
}

async function commandOf(pid: number): Promise<string> {
  const text = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
  return text.replaceAll("\0", " ").trim();
}
