/** A request over plain TCP, of which only some may be sent. */
export class RawHttp implements Disposable {
  /** All that came. */
  received = "";
  /** When the server let go of the connection. */
  closedAt: number | undefined;
  readonly closed: Promise<void>;

  private constructor(private readonly connection: Deno.TcpConn) {
    this.closed = this.#read();
  }

  static async open(url: string, text = ""): Promise<RawHttp> {
    const { hostname, port } = new URL(url);
    const raw = new RawHttp(await Deno.connect({ hostname, port: Number(port) }));
    if (text !== "") await raw.send(text);
    return raw;
  }

  async send(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let sent = 0; sent < bytes.length;) sent += await this.connection.write(bytes.subarray(sent));
  }

  /** Throws where the server does not let go of it in time. */
  async closedWithin(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Still open after ${ms} ms; it had: ${this.received}`)), ms);
    });
    await Promise.race([this.closed, late]).finally(() => clearTimeout(timer));
  }

  get status(): number | undefined {
    const line = /^HTTP\/1\.1 (\d{3})/.exec(this.received);
    return line ? Number(line[1]) : undefined;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(16_384);
    for (;;) {
      const read = await this.connection.read(chunk).catch(() => null);
      if (read === null) break;
      this.received += decoder.decode(chunk.subarray(0, read), { stream: true });
    }
    this.closedAt = Date.now();
  }

  [Symbol.dispose](): void {
    try {
      this.connection.close();
    } catch {
      // Ended already.
    }
  }
}

/** The head of a request, and as much of its body as is given. */
export function half(line: string, headers: Record<string, string>, body = ""): string {
  const lines = Object.entries({ Host: "rookery.test", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}
