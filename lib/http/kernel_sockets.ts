/**
 * What the kernel knows of this process' TCP connections, and how it ends one. The platform's server shows a connection only by
 * its requests. On Linux, with permission to call the C library.
 */
import { openLibrary, ProcFiles } from "../proc_files.ts";

/** `/proc/net/tcp`: the state of a connection that both sides know of. */
const ESTABLISHED = "01";
const SHUT_RDWR = 2;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** Where `struct tcp_info` has `tcpi_bytes_received` (since Linux 4.1). */
const BYTES_RECEIVED_AT = 128;

const SYMBOLS = {
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
} as const;

export interface TcpConnection {
  /** Whose it is: the address and port of the peer, as a request tells them. */
  key: string;
  inode: string;
  /** Whether the peer has yet to take some of what it was sent. */
  sending: boolean;
}

/** An open file of this process. Its number may be another's by now, so it is looked at again before it is believed. */
export interface Descriptor {
  number: number;
  inode: string;
}

export class KernelSockets implements Disposable {
  readonly #info = new Uint8Array(256);
  readonly #view = new DataView(this.#info.buffer);
  readonly #length = new Uint32Array(1);
  readonly #lengthBytes = new Uint8Array(this.#length.buffer);
  /** Files by their numbers, as they were when they were last looked for. */
  #numbers = new Map<number, string>();

  private constructor(
    private readonly library: Deno.DynamicLibrary<typeof SYMBOLS>,
    private readonly files: ProcFiles,
  ) {}

  /** Undefined where this machine or its permissions do not allow it. */
  static open(): KernelSockets | undefined {
    const files = ProcFiles.open();
    const library = files && openLibrary(SYMBOLS);
    return library && new KernelSockets(library, files);
  }

  /** Those that were accepted at a port. */
  async acceptedAt(port: number): Promise<TcpConnection[]> {
    const tables = await Promise.all(["tcp", "tcp6"].map((table) => this.files.readLong(`/proc/net/${table}`)));
    const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    const found: TcpConnection[] = [];
    for (const line of tables.flatMap((text) => text?.split("\n") ?? [])) {
      // `  12: <address>:<port> <address>:<port> <state> …`: most lines are others'.
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

  /** Where some of the connections that there are have their files. */
  descriptorsOf(wanted: ReadonlySet<string>, there: ReadonlySet<string>): Map<string, Descriptor> {
    const found = new Map<string, Descriptor>();
    if (wanted.size === 0) return found;
    const numbers = new Map<number, string>();
    for (const name of this.files.names("/proc/self/fd")) {
      const number = Number(name);
      const known = this.#numbers.get(number);
      // A connection keeps its number as long as it is there.
      const inode = known !== undefined && there.has(known) ? known : this.#inodeNow(number);
      if (inode === undefined) continue;
      numbers.set(number, inode);
      if (wanted.has(inode)) found.set(inode, { number, inode });
    }
    this.#numbers = numbers;
    return found;
  }

  /** Bytes that came by it; of a descriptor that is another's by now, that one's. */
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

  /** Ends a connection both ways, so that the server lets go of it. */
  end({ number, inode }: Descriptor): void {
    // Nothing comes between this look and the end.
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

/** An address of `/proc/net`, in words of 32 bits as a little-endian machine has them, as the server's requests name it. */
export function hostnameOf(hex: string): string {
  const bytes = hex.match(/.{8}/g)!.flatMap((word) => word.match(/../g)!.reverse().map((byte) => parseInt(byte, 16)));
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! * 256 + bytes[2 * i + 1]!).toString(16));
  if (groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff") return `::ffff:${bytes.slice(12).join(".")}`;
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
