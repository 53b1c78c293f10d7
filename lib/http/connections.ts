import type { Log } from "../log.ts";
import { type Descriptor, KernelSockets, type TcpConnection } from "./kernel_sockets.ts";

/** A connection is to bring its first request's head within this time (`docs/limits.md`). */
const HEAD_WITHIN_MS = 10_000;
/** One that asks nothing more is closed, later than most clients and proxies do so; and sooner where it may still owe a body. */
const IDLE_MS = 90_000;
const OWING_MS = 10_000;
const LOOK_MS = 2_000;
/** After a look that took long, as on a machine with very many connections, it rests for so many times as long. */
const REST = 5;
/** How often live sockets are looked at. */
const LIVE_LOOK_MS = 250;
/** What a live socket may have sent, which has only pongs to send and few words besides; and how much more with each second. */
const LIVE_BYTES = 128 * 1024;
const LIVE_BYTES_A_SECOND = 64;

/** What is known of a connection by its requests. */
export interface Peer {
  /** Requests that are not answered to their end. */
  open: number;
  lastAt: number;
  /** How long it may be idle now. */
  idleMs: number;
  /** It is a live socket, and since when. */
  upgradedAt?: number;
  /** Called when it has sent what no listener has to send, before its connection is ended. */
  flooded?: () => void;
}

interface Live {
  peer: Peer;
  descriptor: Descriptor;
  flooded: boolean;
}

/**
 * Closes connections that hold a place and bring nothing: those without a request, those that were answered before all had come, those
 * that ask no more, and live sockets that send what is kept in memory until it is whole. The platform's server has no such limits
 * (denoland/deno#3515, #15809); where the kernel cannot be asked either, they are for a proxy to keep (`docs/decisions/0019-socket-limits.md`).
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

  /** Undefined where this machine or its permissions do not allow it. */
  static watch(port: number, log: Log): Connections | undefined {
    const kernel = KernelSockets.open();
    return kernel && new Connections(kernel, port, log);
  }

  /** A request has come by the connection from there. */
  heard({ hostname, port }: Deno.NetAddr): Peer {
    const key = `${hostname} ${port}`;
    let peer = this.#peers.get(key);
    if (!peer) this.#peers.set(key, peer = { open: 0, lastAt: 0, idleMs: IDLE_MS });
    peer.open++;
    return peer;
  }

  /** Its request was judged, and has this answer. */
  answered(peer: Peer, request: Request, status: number): void {
    if (status === 101) peer.upgradedAt = Date.now();
    // What has come too slowly was waited for long enough.
    if (status === 408) peer.idleMs = 0;
    else peer.idleMs = !request.bodyUsed && announcesBody(request) ? OWING_MS : IDLE_MS;
  }

  [Symbol.dispose](): void {
    this.#timers.forEach(clearInterval);
    // A look that is under way still needs it; the process is about to end.
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
      this.log.warn("connections that bring nothing could not be looked for", { error });
    } finally {
      this.#looking = false;
      const now = performance.now();
      this.#restsUntil = now + (now - begun) * REST;
    }
  }

  /** The sockets of those that bring nothing. */
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

  /** Half a message is in memory until its rest comes: so it counts what came, whole or not. */
  #lookAtLive(): void {
    const now = Date.now();
    for (const live of this.#live.values()) {
      if (live.flooded) {
        this.kernel.end(live.descriptor);
        continue;
      }
      const allowed = LIVE_BYTES + (now - live.peer.upgradedAt!) / 1_000 * LIVE_BYTES_A_SECOND;
      if (this.kernel.bytesReceived(live.descriptor) <= allowed) continue;
      // It hears why first, and its connection ends with the next look.
      live.flooded = true;
      live.peer.flooded?.();
    }
  }
}

/** By its head, since a GET has no `body` here, whatever its caller announced. */
function announcesBody({ headers }: Request): boolean {
  return headers.has("transfer-encoding") || Number(headers.get("content-length") ?? 0) > 0;
}
