/**
 * `Sql` over a Unix socket, for child processes and `deno task` commands: only the server can open the embedded database.
 * Frames are JSON behind four bytes of length; whoever may open the socket (mode 0600) may do everything.
 */
import { type Param, type Sql, SqlError } from "./sql.ts";
import { encodeParam } from "./values.ts";

const MAX_FRAME = 32 * 1024 * 1024;
/** A connection that sends more at once is read no further until some are answered. */
const MAX_RUNNING = 64;
/** `sun_path` holds 108 bytes on Linux, 104 on macOS. */
const MAX_PATH = 100;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

interface Request {
  id: number;
  text: string;
  /** Absent in a script. */
  params?: (string | Uint8Array | null)[];
  name?: string;
}
interface Answer {
  id: number;
  rows?: unknown[];
  error?: { message: string; kind: SqlError["kind"]; code?: string; constraint?: string };
}

/** Where the server of this data folder listens; rejects where there is none. */
export function socketPath(dataDir: string): Promise<string> {
  return resolvePath(`${dataDir}/socket`);
}

/**
 * Serves `sql` at `path`, replacing what a dead server left there: call it under the data folder's lock. Where the path is
 * too long for a socket, the socket is in a temporary folder and `path` a file that names it.
 */
export function serveSql(sql: Sql, path: string): AsyncDisposable {
  remove(path);
  const folder = ENCODER.encode(path).length > MAX_PATH ? Deno.makeTempDirSync({ prefix: "rookery-" }) : undefined;
  const place = folder ? `${folder}/socket` : path;
  // A socket open to others for a moment would be a door.
  const umask = Deno.umask(0o177);
  const listener = Deno.listen({ transport: "unix", path: place });
  if (folder) Deno.writeTextFileSync(path, place);
  Deno.umask(umask);
  const connections = new Set<Deno.Conn>();
  const accepting = (async () => {
    while (true) {
      try {
        const connection = await listener.accept();
        connections.add(connection);
        serve(sql, connection).finally(() => connections.delete(connection));
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        // Too many open files, say: they may become fewer.
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of connections) close(connection);
      remove(path);
      if (folder) Deno.removeSync(folder, { recursive: true });
    },
  };
}

/** Connects at the first statement and anew after a loss. */
export function connectSqlSocket(path: string): Sql {
  return new SocketSql(path);
}

async function serve(sql: Sql, connection: Deno.Conn): Promise<void> {
  const link = new Link(connection);
  const running = new Set<Promise<void>>();
  try {
    for await (const frame of link.frames()) {
      const request = decode(frame) as Request;
      const work: Promise<void> = answer(sql, request).then((reply) => link.send(encodeAnswer(reply))).catch(() =>
        close(connection)
      );
      running.add(work);
      work.finally(() => running.delete(work));
      if (running.size >= MAX_RUNNING) await Promise.race(running);
    }
  } catch {
    // A broken or nonsensical connection costs itself only.
  }
  close(connection);
}

async function answer(sql: Sql, { id, text, params, name }: Request): Promise<Answer> {
  try {
    if (params) return { id, rows: await sql.query(text, params, name) };
    await sql.script(text);
    return { id };
  } catch (error) {
    const { message, kind, code, constraint } = error instanceof SqlError
      ? error
      : new SqlError(String(error), "fault");
    return { id, error: { message, kind, ...(code ? { code } : {}), ...(constraint ? { constraint } : {}) } };
  }
}

function encodeAnswer(answer: Answer): Uint8Array {
  const frame = encode(answer);
  if (frame.length <= MAX_FRAME) return frame;
  return encode({ id: answer.id, error: { message: `The rows exceed ${MAX_FRAME} bytes`, kind: "fault" } });
}

class SocketSql implements Sql {
  private link: Promise<Link> | undefined;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private lastId = 0;
  private closed = false;

  constructor(private readonly path: string) {}

  async query<Row>(text: string, params: readonly Param[] = [], name?: string): Promise<Row[]> {
    return (await this.ask(() => ({ text, params: params.map(encodeParam), ...(name ? { name } : {}) }))).rows as Row[];
  }

  async script(text: string): Promise<void> {
    await this.ask(() => ({ text }));
  }

  private async ask(request: () => Omit<Request, "id">): Promise<Answer> {
    const id = ++this.lastId;
    let frame: Uint8Array;
    try {
      frame = encode({ id, ...request() });
    } catch (error) {
      throw new SqlError(String(error), "fault");
    }
    if (frame.length > MAX_FRAME) throw new SqlError(`The statement exceeds ${MAX_FRAME} bytes`, "fault");
    const link = await this.connect();
    const answered = new Promise<Answer>((resolve) => this.waiting.set(id, resolve));
    link.send(frame).catch(() => {
      close(link.connection);
      this.lose(id);
    });
    const answer = await answered;
    if (!answer.error) return answer;
    throw new SqlError(answer.error.message, answer.error.kind, answer.error.code, answer.error.constraint);
  }

  private async connect(): Promise<Link> {
    if (this.closed) throw new SqlError("The connection was closed", "unavailable");
    this.link ??= this.open();
    try {
      return await this.link;
    } catch (error) {
      this.link = undefined;
      throw new SqlError(`No server answers at "${this.path}" (${error})`, "unavailable");
    }
  }

  private async open(): Promise<Link> {
    const link = new Link(await Deno.connect({ transport: "unix", path: await resolvePath(this.path) }));
    this.listen(link);
    return link;
  }

  private async listen(link: Link): Promise<void> {
    try {
      for await (const frame of link.frames()) {
        const answer = decode(frame) as Answer;
        this.waiting.get(answer.id)?.(answer);
        this.waiting.delete(answer.id);
      }
    } catch {
      // What was under way is told below.
    }
    close(link.connection);
    this.link = undefined;
    for (const id of this.waiting.keys()) this.lose(id);
  }

  private lose(id: number): void {
    this.waiting.get(id)?.({ id, error: { message: "The connection to the server broke", kind: "lost" } });
    this.waiting.delete(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    await this.link?.then((link) => close(link.connection), () => {});
  }
}

/** Frames both ways over one connection. */
class Link {
  private sending: Promise<void> = Promise.resolve();

  constructor(readonly connection: Deno.Conn) {}

  /** Frames leave whole and in order. */
  send(frame: Uint8Array): Promise<void> {
    const message = new Uint8Array(4 + frame.length);
    new DataView(message.buffer).setUint32(0, frame.length);
    message.set(frame, 4);
    return this.sending = this.sending.then(async () => {
      for (let sent = 0; sent < message.length;) sent += await this.connection.write(message.subarray(sent));
    });
  }

  async *frames(): AsyncGenerator<Uint8Array> {
    let buffer = new Uint8Array(64 * 1024);
    let filled = 0;
    while (true) {
      const read = await this.connection.read(buffer.subarray(filled));
      if (read === null) return;
      filled += read;
      let start = 0;
      let needed = 4;
      while (filled - start >= 4) {
        const size = new DataView(buffer.buffer, start).getUint32(0);
        if (size > MAX_FRAME) throw new Error(`A frame of ${size} bytes is over ${MAX_FRAME}`);
        needed = 4 + size;
        if (filled - start < needed) break;
        yield buffer.subarray(start + 4, start + needed);
        start += needed;
        needed = 4;
      }
      // Another buffer for the rest, if it would not fit: a yielded frame has been read by now.
      const rest = buffer.subarray(start, filled);
      if (needed > buffer.length) buffer = new Uint8Array(needed);
      if (start > 0 || buffer.buffer !== rest.buffer) buffer.set(rest);
      filled -= start;
    }
  }
}

/** What JSON cannot say: `{"$bytes": base64}`, `{"$number": "NaN"}`; an object with such a key itself is `{"$object": entries}`. */
const TAGS = ["$bytes", "$number", "$object"];

function encode(message: unknown): Uint8Array {
  return ENCODER.encode(JSON.stringify(message, (_key, value) => {
    if (value instanceof Uint8Array) return { $bytes: value.toBase64() };
    if (typeof value === "number" && !Number.isFinite(value)) return { $number: String(value) };
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return TAGS.some((tag) => tag in value) ? { $object: Object.entries(value) } : value;
  }));
}

function decode(frame: Uint8Array): unknown {
  const text = DECODER.decode(frame);
  if (!text.includes('"$')) return JSON.parse(text);
  return JSON.parse(text, (_key, value) => {
    if (typeof value !== "object" || value === null) return value;
    if (typeof value.$bytes === "string") return Uint8Array.fromBase64(value.$bytes);
    if (typeof value.$number === "string") return Number(value.$number);
    if (Array.isArray(value.$object)) return Object.fromEntries(value.$object);
    return value;
  });
}

async function resolvePath(path: string): Promise<string> {
  return (await Deno.lstat(path)).isFile ? await Deno.readTextFile(path) : path;
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
