/** A server that an earlier process left in the folder: it may still be ending, or have died without removing its mark. */
import process from "node:process";
import { EmbeddedRefused } from "./refused.ts";

const LOOK_MS = 20;
/** A server whose Rookery was killed ends by itself; one that does not is told to. */
const ENDS_BY_ITSELF_MS = 3_000;
const ENDS_AFTER_QUIT_MS = 10_000;
/** No system gives a process so high a number. */
const NOBODY = 2 ** 31 - 1;

/**
 * Resolves when no server has the folder. The mark of a dead server is left for Postgres, which looks by it whether processes of that
 * server still live; only where another program has its process number by now, it is changed to one that nobody has.
 */
export async function awaitPredecessor(folder: string): Promise<void> {
  const start = performance.now();
  let quit = false;
  for (;;) {
    const mark = await Deno.readTextFile(`${folder}/postmaster.pid`).catch(() => "");
    const pid = Number(mark.split("\n")[0]);
    if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return;
    if (!await isServerOf(pid, folder)) {
      await Deno.writeTextFile(`${folder}/postmaster.pid`, mark.replace(/^\d+/, String(NOBODY)));
      return;
    }
    const waited = performance.now() - start;
    if (waited > ENDS_BY_ITSELF_MS && !quit) {
      quit = true;
      process.kill(pid, "SIGQUIT");
    }
    if (waited > ENDS_AFTER_QUIT_MS) {
      throw new EmbeddedRefused(
        `The Postgres of "${folder}" still runs as process ${pid} and does not end; end it first`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}

/** A server's working folder is that of its data. */
async function isServerOf(pid: number, folder: string): Promise<boolean> {
  if (Deno.build.os === "linux") {
    try {
      return await Deno.readLink(`/proc/${pid}/cwd`) === await Deno.realPath(folder);
    } catch {
      // Of another user, who cannot have started it, or gone.
      return false;
    }
  }
  if (Deno.build.os === "windows") return true;
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "command=", "-p", String(pid)] }).output();
  return new TextDecoder().decode(stdout).includes(folder);
}
