import type { Log } from "../log.ts";
import { type Descriptor, KernelSockets, type TcpConnection } from "./kernel_sockets.ts";

/** Time for a connection to send the head of its first request (`docs/limits.md`). */
const HEAD_WITHIN_MS = 10_000;
/**
 * Idle time after which a connection is closed: longer than most clients and proxies use, and shorter if the rest of a
 * body may follow.
 */
const IDLE_MS = 90_000;
const OWING_MS = 10_000;
const LOOK_MS = 2_000;
/** After a slow check, as with very many connections, the next one waits for this multiple of its duration. */
const REST = 5;
/** Interval of checks of live sockets. */
const LIVE_LOOK_MS = 250;
/** Bytes that a live socket may send, and how many more per second. A listener sends only pongs and short messages. */
const LIVE_BYTES = 128 * 1024;
const LIVE_BYTES_A_SECOND = 64;

/** What is known about a connection from its requests. */
export interface Peer {
  /** Requests without a complete response. */
  open: number;
  lastAt: number;
  /** The current idle limit. */
  idleMs: number;
  /** When it became a live socket. */
  upgradedAt?: number;
  /** Called before the connection is closed for sending too much. */
  flooded?: () => void;
}

interface Live {
  peer: Peer;
  descriptor: Descriptor;
  flooded: boolean;
}

/**
 * Closes connections that hold a place without use: those without a request, those answered before their body was
 * complete, idle ones, and live sockets that send more than a listener needs to, since the server buffers a message
 * until it is complete. Deno's server has no such limits (denoland/deno#3515, #15809). Where the kernel cannot be
 * asked, a proxy must enforce them (`docs/decisions/0019-socket-limits.md`).
 */
export class Connections implements Disposable {
  readonly #peers = new Map<string, Peer>();
  /** Connections without a request, and since when. */
  #silent = new Map<string, number>();
  #live = new Map<string, Live>();
  readonly #timers: ReturnType<typeof setInterval>[];
  #looking = false;
  #restsUntil = 0;

  private constructor(
    private readonly kernel: KernelSockets,
    private readonly port: number,
    private readonly log: Log,
  ) {
    this.#timers = [setInterval(() => void this.#look(), LOOK_MS), setInterval(() => this.#lookAtLive(), LIVE_LOOK_MS)];
    this.#timers.forEach(Deno.unrefTimer);
  }

  /** Undefined if the platform or the permissions do not allow it. */
  static watch(port: number, log: Log): Connections | undefined {
    const kernel = KernelSockets.open();
    return kernel && new Connections(kernel, port, log);
  }

  /** A request arrived from this address. */
  heard({ hostname, port }: Deno.NetAddr): Peer {
    const key = `${hostname} ${port}`;
    let peer = this.#peers.get(key);
    if (!peer) this.#peers.set(key, peer = { open: 0, lastAt: 0, idleMs: IDLE_MS });
    peer.open++;
    return peer;
  }

  /** The request has this response. */
  answered(peer: Peer, request: Request, status: number): void {
    if (status === 101) peer.upgradedAt = Date.now();
    // After a timeout of the body there is no further wait.
    if (status === 408) peer.idleMs = 0;
    else peer.idleMs = !request.bodyUsed && announcesBody(request) ? OWING_MS : IDLE_MS;
  }

  [Symbol.dispose](): void {
    this.#timers.forEach(clearInterval);
    // A running check still needs it; the process is about to end.
    if (!this.#looking) this.kernel[Symbol.dispose]();
  }

  async #look(): Promise<void> {
    const begun = performance.now();
    if (this.#looking || begun < this.#restsUntil) return;
    this.#looking = true;
    try {
      const connections = await this.kernel.acceptedAt(this.port);
      const idle = this.#idle(connections);
      const live = connections.flatMap(({ key, inode }) => {
        const peer = this.#peers.get(key);
        return peer?.upgradedAt === undefined ? [] : [{ peer, inode }];
      });
      const unknown = live.filter(({ inode }) => !this.#live.has(inode)).map(({ inode }) => inode);
      const there = new Set(connections.map(({ inode }) => inode));
      const descriptors = this.kernel.descriptorsOf(new Set([...idle, ...unknown]), there);
      for (const inode of idle) {
        const descriptor = descriptors.get(inode);
        if (descriptor) this.kernel.end(descriptor);
      }
      this.#live = new Map(live.flatMap(({ peer, inode }) => {
        const descriptor = this.#live.get(inode)?.descriptor ?? descriptors.get(inode);
        return descriptor ? [[inode, this.#live.get(inode) ?? { peer, descriptor, flooded: false }]] : [];
      }));
    } catch (error) {
      this.log.warn("check for idle connections failed", { error });
    } finally {
      this.#looking = false;
      const now = performance.now();
      this.#restsUntil = now + (now - begun) * REST;
    }
  }

  /** The sockets to close. */
  #idle(connections: TcpConnection[]): Set<string> {
    const now = Date.now();
    const idle = new Set<string>();
    const silent = new Map<string, number>();
    const there = new Set<string>();
    for (const { key, inode, sending } of connections) {
      there.add(key);
      const peer = this.#peers.get(key);
      if (!peer) {
        const since = this.#silent.get(key) ?? now;
        silent.set(key, since);
        if (now - since >= HEAD_WITHIN_MS) idle.add(inode);
      } else if (peer.open === 0 && peer.upgradedAt === undefined && !sending && now - peer.lastAt >= peer.idleMs) {
        idle.add(inode);
      }
    }
    for (const [key, { open }] of this.#peers) if (open === 0 && !there.has(key)) this.#peers.delete(key);
    this.#silent = silent;
    return idle;
  }

  /** An incomplete message is buffered, so all received bytes count. */
  #lookAtLive(): void {
    const now = Date.now();
    for (const live of this.#live.values()) {
      if (live.flooded) {
        this.kernel.end(live.descriptor);
        continue;
      }
      const allowed = LIVE_BYTES + (now - live.peer.upgradedAt!) / 1_000 * LIVE_BYTES_A_SECOND;
      if (this.kernel.bytesReceived(live.descriptor) <= allowed) continue;
      // It gets the reason first. The next check closes its connection.
      live.flooded = true;
      live.peer.flooded?.();
    }
  }
}

/** By the headers, as a GET has no `body` here, whatever it announced. */
function announcesBody({ headers }: Request): boolean {
  return headers.has("transfer-encoding") || Number(headers.get("content-length") ?? 0) > 0;
}
