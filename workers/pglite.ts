/**
 * Runs the embedded Postgres. In a worker of its own, as a statement holds its thread; one after another, as it has one
 * connection. Callers reach it through message ports and speak `db/wire.ts`; see `db/pglite.ts` for their side.
 */
import { PGlite } from "@electric-sql/pglite";
import { pg_trgm } from "@electric-sql/pglite/contrib/pg_trgm";
import { NodeFS } from "@electric-sql/pglite/nodefs";
import type { FromPort, FromWorker, ToWorker } from "../db/pglite.ts";
import { closeMessage, parseMessage, simpleMessage, summarise } from "../db/wire.ts";

/** Nobody else makes checkpoints here, and without them the log grows until the database is closed. */
const CHECKPOINT_MS = 60_000;
/**
 * How values are written, and that tables are read by their indexes wherever there is one: a plan kept from the days of a nearly empty
 * table would read it from end to end until it is analysed again.
 */
const SETTINGS = ["timezone=UTC", "datestyle=ISO", "enable_seqscan=off"];
/** Kept plans are made again from the size that tables have by now; an analysis comes much more seldom. */
const PLANS_MS = 5_000;
/** Raised by a prepared statement whose tables have changed, before it ran. */
const STALE = new Set(["0A000", "26000"]);

const ports = new Set<MessagePort>();
const statements = new Map<string, string>();
let database: PGlite | undefined;
let used = false;
let planned = false;

const tell = (message: FromWorker) => self.postMessage(message);

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  try {
    if (data.type === "open") await open(data.folder);
    else if (data.type === "port") serve(data.port);
    else await close("The database was closed");
  } catch (error) {
    tell({ type: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
};

async function open(folder: string): Promise<void> {
  database = await PGlite.create({
    ...(folder === "" ? {} : { fs: new NodeFS(folder) }),
    extensions: { pg_trgm },
    startParams: [...PGlite.defaultStartParams, ...SETTINGS.flatMap((setting) => ["-c", setting])],
  });
  setInterval(() => {
    if (used) run(simpleMessage("checkpoint"));
    used = false;
  }, CHECKPOINT_MS);
  setInterval(() => {
    if (planned) run(simpleMessage("discard plans"));
    planned = false;
  }, PLANS_MS);
  tell({ type: "opened" });
}

function serve(port: MessagePort): void {
  ports.add(port);
  port.onmessage = ({ data }: MessageEvent<FromPort>) => {
    if (data === "bye") {
      ports.delete(port);
      return port.close();
    }
    const [id, request, text, name] = data;
    if (!database) return port.postMessage([id, null]);
    try {
      const answer = text === undefined ? script(request) : statement(request, text, name ?? "");
      port.postMessage([id, answer], [answer.buffer]);
    } catch (error) {
      port.postMessage([id, error instanceof Error ? error.message : String(error)]);
    }
  };
}

function statement(request: Uint8Array, text: string, name: string, again = false): Uint8Array<ArrayBuffer> {
  const known = name === "" ? undefined : statements.get(name);
  planned ||= name !== "";
  if (known !== undefined && known !== text) {
    throw new Error(`Prepared statements must be unique; "${name}" was used for another statement`);
  }
  const { answer, parsed, code } = run(known === undefined ? join(parseMessage(name, text), request) : request);
  if (parsed && name !== "") statements.set(name, text);
  if (known !== undefined && code !== undefined && STALE.has(code) && !again) {
    statements.delete(name);
    run(join(closeMessage(name), simpleMessage("")));
    return statement(request, text, name, true);
  }
  return answer;
}

function script(request: Uint8Array): Uint8Array<ArrayBuffer> {
  return run(request).answer;
}

function run(request: Uint8Array) {
  if (!database) throw new Error("The database is not open");
  used = true;
  const answer = database.execProtocolRawSync(request) as Uint8Array<ArrayBuffer>;
  const summary = summarise(answer);
  if (summary.status === undefined) {
    close("The embedded database has failed");
    throw new Error("The embedded database has failed");
  }
  // The connection is everybody's: what a failed script left open must not swallow the next caller's statement.
  if (summary.status !== "I") database.execProtocolRawSync(simpleMessage("rollback"));
  return { answer, ...summary };
}

async function close(reason: string): Promise<void> {
  const closing = database;
  database = undefined;
  await closing?.close();
  for (const port of ports) port.postMessage([-1, reason]);
  tell({ type: "closed", reason });
  self.close();
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const result = new Uint8Array(first.length + second.length);
  result.set(first);
  result.set(second, first.length);
  return result;
}
