/**
 * A server that an earlier process left in the folder: it may be shutting down, or have been killed without removing
 * its PID file.
 */
import process from "node:process";
import { socketFile } from "./address.ts";
import { ProcFiles } from "../../lib/proc_files.ts";
import { EmbeddedRefused } from "./refused.ts";
import { sleep } from "../../lib/sleep.ts";

const LOOK_MS = 20;
/** A server whose Rookery was killed exits within this time; otherwise it gets SIGQUIT. */
const ENDS_BY_ITSELF_MS = 3_000;
const ENDS_AFTER_QUIT_MS = 10_000;
/**
 * A server killed during its start leaves an empty PID file, which Postgres refuses permanently. A starting server
 * fills it at once.
 */
const WRITES_MARK_MS = 500;
/** No system has a process id this high. */
const NOBODY = 2 ** 31 - 1;

/**
 * Resolves when no server uses the folder. The PID file of a dead server is left for Postgres, which uses it to check
 * for remaining processes of that server. Only if another program has its process id by now, the file gets an id that
 * does not exist. The lock file of the socket has no such use, and is removed in that case.
 */
export async function awaitPredecessor(folder: string): Promise<void> {
  const start = performance.now();
  let quit = false;
  for (;; await sleep(LOOK_MS)) {
    const mark = await Deno.readTextFile(markOf(folder)).catch(() => undefined);
    const waited = performance.now() - start;
    if (mark === "" && waited > WRITES_MARK_MS) await Deno.remove(markOf(folder));
    if (mark === "") continue;
    const pid = pidIn(mark);
    if (pid === undefined || !isAlive(pid)) break;
    if (!await isServerOf(pid, folder)) {
      await Deno.writeTextFile(markOf(folder), mark!.replace(/^\d+/, String(NOBODY)));
      break;
    }
    if (waited > ENDS_BY_ITSELF_MS && !quit) {
      quit = true;
      process.kill(pid, "SIGQUIT");
    }
    if (waited > ENDS_AFTER_QUIT_MS) {
      throw new EmbeddedRefused(
        `The Postgres of "${folder}" still runs as process ${pid} and does not exit; stop it first`,
      );
    }
  }
  await removeSocketMark(folder);
}

/** Postgres removes the lock file of a dead process itself, but not one with the id of another program or none. */
async function removeSocketMark(folder: string): Promise<void> {
  const path = `${socketFile(folder)}.lock`;
  const mark = await Deno.readTextFile(path).catch(() => undefined);
  if (mark === undefined) return;
  const pid = pidIn(mark);
  if (pid === undefined || (isAlive(pid) && !await isServerOf(pid, folder))) await Deno.remove(path);
}

function markOf(folder: string): string {
  return `${folder}/postmaster.pid`;
}

function pidIn(mark: string | undefined): number | undefined {
  const pid = Number(mark?.split("\n")[0]);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}

/** The working directory of a server is its data folder. A zombie process is no server. */
async function isServerOf(pid: number, folder: string): Promise<boolean> {
  if (Deno.build.os === "linux") {
    using files = ProcFiles.open();
    const cwd = files?.link(`/proc/${pid}/cwd`);
    if (cwd !== undefined) return cwd === await Deno.realPath(folder);
    // Another user's, ended, or hidden from a root without CAP_SYS_PTRACE, as in a container.
    const words = (files?.read(`/proc/${pid}/cmdline`) ?? "").split("\0");
    return words.includes(folder) && /(^|\/)postgres$/.test(words[0] ?? "");
  }
  if (Deno.build.os === "windows") return true;
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "command=", "-p", String(pid)] }).output();
  return new TextDecoder().decode(stdout).includes(folder);
}
