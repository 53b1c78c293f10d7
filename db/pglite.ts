/**
 * The embedded driver: PGlite (Postgres 18 in WebAssembly) in a worker. It does not sync to disk: it survives the death of
 * its process, not that of the machine. Other workers talk to the same database through a port each.
 */
import { settleRestore } from "./restored_data.ts";
import { type Param, type Sql, SqlError } from "./sql.ts";
import { keptName } from "./values.ts";
import { decodeRows, executeMessages, simpleMessage } from "./wire.ts";

/** `folder` empty: in memory. */
export type ToWorker = { type: "open"; folder: string } | { type: "port"; port: MessagePort } | { type: "close" };
export type FromWorker =
  | { type: "opened" }
  | { type: "closed"; reason: string }
  | { type: "failed"; reason: string };
/** A statement carries its text, a script does not. */
export type FromPort = "bye" | [id: number, request: Uint8Array, text?: string, name?: string];
/** An answer; or why there is none; or null, as the database is closing; with the id -1 why there will be none any more. */
export type ToPort = [id: number, answer: Uint8Array | string | null];

/** Another process has the database open; two would silently lose each other's data. */
export class DatabaseLocked extends Error {
  override readonly name = "DatabaseLocked";
  constructor(readonly dataDir: string, readonly pid: number | undefined) {
    super(
      `The database in "${dataDir}" is open in process ${pid ?? "(unknown)"}; ` +
        `stop that one, or set DATA_DIR to another folder`,
    );
  }
}

export interface Pglite extends Sql {
  /** For another worker of this process, which makes an `Sql` of it by `connectPglitePort`; transfer it. */
  port(): MessagePort;
  /** Resolves with the reason when the database has ended, closed or failed. */
  readonly ended: Promise<string>;
}

/**
 * Opens the database in `<dataDir>/postgres`, making it at the first time, and holds `<dataDir>/lock` until it is closed or
 * the process ends, however it ends. Throws `DatabaseLocked`. Without a folder the database is in memory. Whoever holds the lock
 * already gives it, and keeps it.
 */
export async function openPglite(dataDir?: string, held?: DataLock): Promise<Pglite> {
  const lock = dataDir === undefined || held ? undefined : await lockData(dataDir);
  const worker = new Worker(new URL("../workers/pglite.ts", import.meta.url), { type: "module", name: "pglite" });
  const send = (message: ToWorker, transfer: Transferable[] = []) => worker.postMessage(message, transfer);
  const ended = Promise.withResolvers<string>();
  const opened = Promise.withResolvers<void>();
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.type === "opened") opened.resolve();
    else ended.resolve(data.reason);
  };
  worker.onerror = (event) => {
    // Else an error in the worker would be one of this thread.
    event.preventDefault();
    ended.resolve(event.message);
  };
  const release = ended.promise.then((reason) => {
    worker.terminate();
    lock?.[Symbol.dispose]();
    opened.reject(new SqlError(`The embedded database did not open: ${reason}`, "unavailable"));
  });
  send({ type: "open", folder: dataDir === undefined ? "" : `${dataDir}/postgres` });
  await opened.promise;

  const port = () => {
    const { port1, port2 } = new MessageChannel();
    send({ type: "port", port: port1 }, [port1]);
    return port2;
  };
  const own = new PortSql(port());
  ended.promise.then((reason) => own.end(reason));
  return {
    query: (text, params, name) => own.query(text, params, name),
    script: (text) => own.script(text),
    port,
    ended: ended.promise,
    async [Symbol.asyncDispose]() {
      send({ type: "close" });
      await release;
      await own[Symbol.asyncDispose]();
    },
  };
}

/** The database at the other end of a `port()`. Closing it leaves the database open. */
export function connectPglitePort(port: MessagePort): Sql {
  return new PortSql(port);
}

/** The right to open what is in a data folder, which one process has at a time. */
export type DataLock = Disposable;

/** Takes the data folder, and ends a restore that died after it was decided. Throws `DatabaseLocked`. */
export async function lockData(dataDir: string): Promise<DataLock> {
  await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = `${dataDir}/lock`;
  const file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
  if (!await file.tryLock(true)) {
    file.close();
    throw new DatabaseLocked(dataDir, Number(await Deno.readTextFile(path)) || undefined);
  }
  await file.truncate();
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  try {
    await settleRestore(dataDir);
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}

interface Waiting {
  resolve(answer: Uint8Array): void;
  reject(error: SqlError): void;
}

class PortSql implements Sql {
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;
  private reason: string | undefined;

  constructor(private readonly port: MessagePort) {
    port.onmessage = ({ data: [id, answer] }: MessageEvent<ToPort>) => {
      if (id < 0) return this.end(String(answer));
      const call = this.waiting.get(id);
      this.waiting.delete(id);
      if (answer === null) call?.reject(new SqlError("The database is closing", "unavailable"));
      else if (typeof answer === "string") call?.reject(new SqlError(answer, "fault"));
      else call?.resolve(answer);
    };
  }

  async query<Row>(text: string, params: readonly Param[] = [], name?: string): Promise<Row[]> {
    const kept = keptName(name, params);
    return decodeRows(await this.ask(encode(kept ?? "", params), text, kept)) as Row[];
  }

  async script(text: string): Promise<void> {
    decodeRows(await this.ask(simpleMessage(`begin;\n${text}\n;commit`)));
  }

  private ask(request: Uint8Array, ...statement: [text?: string, name?: string | undefined]): Promise<Uint8Array> {
    if (this.reason !== undefined) return Promise.reject(new SqlError(this.reason, "unavailable"));
    return new Promise((resolve, reject) => {
      const id = ++this.lastId;
      this.waiting.set(id, { resolve, reject });
      this.port.postMessage([id, request, ...statement], [request.buffer as ArrayBuffer]);
    });
  }

  /** Nothing will be answered any more; what was under way may have run. */
  end(reason: string): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.port.close();
    for (const call of this.waiting.values()) call.reject(new SqlError(reason, "lost"));
    this.waiting.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.reason === undefined) this.port.postMessage("bye");
    this.end("The connection was closed");
  }
}

function encode(name: string, params: readonly Param[]): Uint8Array {
  try {
    return executeMessages(name, params);
  } catch (error) {
    throw new SqlError(error instanceof Error ? error.message : String(error), "fault");
  }
}
