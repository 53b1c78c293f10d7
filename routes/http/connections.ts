import type { Log } from "../../log.ts";

/** A connection is to bring its first request's head within this time (`docs/limits.md`). */
export const HEAD_WITHIN_MS = 10_000;
/** One that asks nothing more is closed, later than most clients and proxies do so; and sooner where it may still owe a body. */
const IDLE_MS = 90_000;
const OWING_MS = 10_000;
const LOOK_MS = 1_000;
/** `/proc/net/tcp`: the state of a connection that both sides know of. */
const ESTABLISHED = "01";
const BOTH_WAYS = 2;
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/** What is known of a connection by its requests. */
interface Peer {
  /** Requests that are not answered to their end. */
  open: number;
  lastAt: number;
  upgraded: boolean;
  /** How long it may be idle now. */
  idleMs: number;
}

/**
 * Closes connections that hold a place and bring nothing: those without a request, those that were answered before all had come, and
 * those that ask no more. The platform's server has no such limits (denoland/deno#3515) and shows connections only by their requests, so
 * the kernel is asked which there are, and told to end them. That is on Linux, with permission to call the C library; elsewhere it is
 * for a proxy to do.
 */
export class Connections implements Disposable {
  readonly #peers = new Map<string, Peer>();
  /** Connections without a request, and since when. */
  #silent = new Map<string, number>();
  readonly #timer: ReturnType<typeof setInterval>;
  #looking = false;

  private constructor(
    private readonly library: Library,
    private readonly port: number,
    private readonly log: Log,
    private readonly headWithinMs: number,
  ) {
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Undefined where this machine or its permissions do not allow it. */
  static watch(port: number, log: Log, headWithinMs = HEAD_WITHIN_MS): Connections | undefined {
    const library = openLibrary();
    return library && new Connections(library, port, log, headWithinMs);
  }

  /** A request has come by the connection from there. */
  heard({ hostname, port }: Deno.NetAddr): Peer {
    const key = `${hostname} ${port}`;
    let peer = this.#peers.get(key);
    if (!peer) this.#peers.set(key, peer = { open: 0, lastAt: 0, upgraded: false, idleMs: IDLE_MS });
    peer.open++;
    return peer;
  }

  /** Its request was judged, and has this answer. */
  answered(peer: Peer, request: Request, status: number): void {
    if (status === 101) peer.upgraded = true;
    // What has come too slowly was waited for long enough.
    if (status === 408) peer.idleMs = 0;
    else peer.idleMs = !request.bodyUsed && request.body !== null ? OWING_MS : IDLE_MS;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.library.close();
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const victims = this.#victims([
        ...await connectionsOf("tcp", this.port),
        ...await connectionsOf("tcp6", this.port),
      ]);
      if (victims.size > 0) await this.#end(victims);
    } catch (error) {
      this.log.error("connections that bring nothing could not be looked for", { error });
    } finally {
      this.#looking = false;
    }
  }

  /** The sockets to be closed, as `/proc` names them. */
  #victims(connections: TcpConnection[]): Set<string> {
    const now = Date.now();
    const victims = new Set<string>();
    const silent = new Map<string, number>();
    const there = new Set<string>();
    for (const { key, inode, sending } of connections) {
      there.add(key);
      const peer = this.#peers.get(key);
      if (!peer) {
        const since = this.#silent.get(key) ?? now;
        silent.set(key, since);
        if (now - since >= this.headWithinMs) victims.add(`socket:[${inode}]`);
      } else if (peer.open === 0 && !peer.upgraded && !sending && now - peer.lastAt >= peer.idleMs) {
        victims.add(`socket:[${inode}]`);
      }
    }
    for (const [key, { open }] of this.#peers) if (open === 0 && !there.has(key)) this.#peers.delete(key);
    this.#silent = silent;
    return victims;
  }

  async #end(victims: Set<string>): Promise<void> {
    for await (const { name } of Deno.readDir("/proc/self/fd")) {
      const path = `/proc/self/fd/${name}`;
      const socket = await Deno.readLink(path).catch(() => "");
      // Looked at again, as the number may be another's by now; nothing comes between that look and the end.
      if (victims.has(socket) && isStill(path, socket)) this.library.symbols.shutdown(Number(name), BOTH_WAYS);
    }
  }
}

function isStill(path: string, socket: string): boolean {
  try {
    return Deno.readLinkSync(path) === socket;
  } catch {
    return false;
  }
}

type Library = Deno.DynamicLibrary<{ shutdown: { parameters: ["i32", "i32"]; result: "i32" } }>;

function openLibrary(): Library | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const allowed = (permission: Deno.PermissionDescriptor) => Deno.permissions.querySync(permission).state === "granted";
  if (!allowed({ name: "ffi" }) || !allowed({ name: "read", path: "/proc" })) return undefined;
  for (const name of LIBRARIES) {
    try {
      return Deno.dlopen(name, { shutdown: { parameters: ["i32", "i32"], result: "i32" } });
    } catch {
      // Another system's name.
    }
  }
  return undefined;
}

interface TcpConnection {
  key: string;
  inode: string;
  /** Whether the peer has yet to take some of what it was sent. */
  sending: boolean;
}

/** Those that are accepted at a port of this process. */
async function connectionsOf(table: "tcp" | "tcp6", port: number): Promise<TcpConnection[]> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const text = await Deno.readTextFile(`/proc/net/${table}`).catch(() => "");
  const found: TcpConnection[] = [];
  for (const line of text.split("\n")) {
    const [, here, there, state, queues, , , , , inode] = line.trim().split(/ +/);
    if (!here?.endsWith(local) || state !== ESTABLISHED || inode === undefined || inode === "0") continue;
    const [address, remote] = there!.split(":") as [string, string];
    found.push({
      key: `${hostnameOf(address)} ${parseInt(remote, 16)}`,
      inode,
      sending: !queues!.startsWith("00000000:"),
    });
  }
  return found;
}

/** An address of `/proc/net`, in words of 32 bits as this machine has them, as the server's requests name it. */
export function hostnameOf(hex: string): string {
  const bytes = hex.match(/.{8}/g)!.flatMap((word) => word.match(/../g)!.reverse().map((byte) => parseInt(byte, 16)));
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! * 256 + bytes[2 * i + 1]!).toString(16));
  if (groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff") return `::ffff:${bytes.slice(12).join(".")}`;
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
