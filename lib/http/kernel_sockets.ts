/**
 * The kernel's view of the TCP connections of this process, and a way to close one: Deno's server shows a connection
 * only by its requests. Needs Linux and the permission to call the C library.
 */
import { openLibrary, ProcFiles } from "../proc_files.ts";

/** The state of an established connection in `/proc/net/tcp`. */
const ESTABLISHED = "01";
const SHUT_RDWR = 2;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** Offset of `tcpi_bytes_received` in `struct tcp_info` (since Linux 4.1). */
const BYTES_RECEIVED_AT = 128;

const SYMBOLS = {
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
} as const;

export interface TcpConnection {
  /** Address and port of the peer, as in a request. */
  key: string;
  inode: string;
  /** Whether sent data is not acknowledged yet. */
  sending: boolean;
}

/** A file descriptor of this process. The number may be reused, so it is checked before each use. */
export interface Descriptor {
  number: number;
  inode: string;
}

export class KernelSockets implements Disposable {
  readonly #info = new Uint8Array(256);
  readonly #view = new DataView(this.#info.buffer);
  readonly #length = new Uint32Array(1);
  readonly #lengthBytes = new Uint8Array(this.#length.buffer);
  /** Inode by descriptor number, as of the last scan. */
  #numbers = new Map<number, string>();

  private constructor(
    private readonly library: Deno.DynamicLibrary<typeof SYMBOLS>,
    private readonly files: ProcFiles,
  ) {}

  /** Undefined if the platform or the permissions do not allow it. */
  static open(): KernelSockets | undefined {
    const files = ProcFiles.open();
    const library = files && openLibrary(SYMBOLS);
    return library && new KernelSockets(library, files);
  }

  /** Connections accepted on a port. */
  async acceptedAt(port: number): Promise<TcpConnection[]> {
    const tables = await Promise.all(["tcp", "tcp6"].map((table) => this.files.readLong(`/proc/net/${table}`)));
    const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    const found: TcpConnection[] = [];
    for (const line of tables.flatMap((text) => text?.split("\n") ?? [])) {
      // `  12: <address>:<port> <address>:<port> <state> …`: most lines are for other ports.
      const end = line.indexOf(" ", line.indexOf(": ") + 2);
      if (!line.startsWith(local, end - local.length)) continue;
      const [there, state, queues, , , , , inode] = line.slice(end + 1).split(/ +/);
      if (state !== ESTABLISHED || inode === undefined || inode === "0") continue;
      const [address, remote] = there!.split(":") as [string, string];
      const key = `${hostnameOf(address)} ${parseInt(remote, 16)}`;
      found.push({ key, inode, sending: !queues!.startsWith("00000000:") });
    }
    return found;
  }

  /** The descriptors of the wanted connections, by inode. */
  descriptorsOf(wanted: ReadonlySet<string>, there: ReadonlySet<string>): Map<string, Descriptor> {
    const found = new Map<string, Descriptor>();
    if (wanted.size === 0) return found;
    const numbers = new Map<number, string>();
    for (const name of this.files.names("/proc/self/fd")) {
      const number = Number(name);
      const known = this.#numbers.get(number);
      // A connection keeps its descriptor number as long as it exists.
      const inode = known !== undefined && there.has(known) ? known : this.#inodeNow(number);
      if (inode === undefined) continue;
      numbers.set(number, inode);
      if (wanted.has(inode)) found.set(inode, { number, inode });
    }
    this.#numbers = numbers;
    return found;
  }

  /** Bytes received. If the descriptor was reused, those of the new file. */
  bytesReceived({ number }: Descriptor): number {
    this.#length[0] = this.#info.length;
    const status = this.library.symbols.getsockopt(
      number,
      IPPROTO_TCP,
      TCP_INFO,
      this.#info,
      this.#lengthBytes,
    );
    if (status !== 0 || this.#length[0]! < BYTES_RECEIVED_AT + 8) return 0;
    return Number(this.#view.getBigUint64(BYTES_RECEIVED_AT, true));
  }

  /** Shuts down both directions, so that the server closes the connection. */
  end({ number, inode }: Descriptor): void {
    // Synchronous: nothing can happen between this check and the shutdown.
    if (this.#inodeNow(number) === inode) this.library.symbols.shutdown(number, SHUT_RDWR);
  }

  #inodeNow(number: number): string | undefined {
    return /^socket:\[(\d+)\]$/.exec(this.files.link(`/proc/self/fd/${number}`) ?? "")?.[1];
  }

  [Symbol.dispose](): void {
    this.library.close();
    this.files[Symbol.dispose]();
  }
}

/** An address of `/proc/net`, in 32-bit words of a little-endian machine, in the form that requests use. */
export function hostnameOf(hex: string): string {
  const bytes = hex.match(/.{8}/g)!.flatMap((word) => word.match(/../g)!.reverse().map((byte) => parseInt(byte, 16)));
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! * 256 + bytes[2 * i + 1]!).toString(16));
  if (groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff") return `::ffff:${bytes.slice(12).join(".")}`;
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
