/** A WebSocket client over plain TCP: it sees pings, may stop reading or answering, and can be cut without a word. */
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

export type Incoming =
  | { kind: "text"; text: string }
  | { kind: "ping" }
  | { kind: "close"; code: number; reason: string };

/** The server answered the handshake with a problem. */
export class HandshakeRefused extends Error {
  override readonly name = "HandshakeRefused";
  constructor(readonly status: number, readonly body: string) {
    super(`The handshake was answered ${status}: ${body}`);
  }
}

export class RawSocket {
  /** Bytes read since the handshake. */
  received = 0;
  pings = 0;
  answersPings = true;
  #buffer = new Uint8Array(0);

  private constructor(private readonly connection: Deno.TcpConn) {}

  static async open(address: string, headers: Record<string, string> = {}): Promise<RawSocket> {
    const url = new URL(address);
    const connection = await Deno.connect({ hostname: url.hostname, port: Number(url.port) });
    const socket = new RawSocket(connection);
    const key = crypto.getRandomValues(new Uint8Array(16)).toBase64();
    const lines = [
      `GET ${url.pathname}${url.search} HTTP/1.1`,
      `Host: ${url.host}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Key: ${key}`,
      "Sec-WebSocket-Version: 13",
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ];
    try {
      await socket.#write(ENCODER.encode(`${lines.join("\r\n")}\r\n\r\n`));
      await socket.#handshake(await acceptOf(key));
    } catch (error) {
      socket.cut();
      throw error;
    }
    return socket;
  }

  /** The next message; undefined when the connection has ended. */
  async next(): Promise<Incoming | undefined> {
    for (;;) {
      const frame = await this.#frame().catch(() => undefined);
      if (!frame) return undefined;
      const { opcode, payload } = frame;
      if (opcode === 1) return { kind: "text", text: DECODER.decode(payload) };
      if (opcode === 8) {
        const code = payload.length < 2 ? 1005 : payload[0]! * 256 + payload[1]!;
        await this.#send(8, payload).catch(() => {});
        return { kind: "close", code, reason: DECODER.decode(payload.subarray(2)) };
      }
      if (opcode === 9) {
        this.pings++;
        if (this.answersPings) await this.#send(10, payload).catch(() => {});
        return { kind: "ping" };
      }
    }
  }

  /** The head of a text frame of this length, of which nothing is sent yet. */
  announce(length: number): Promise<void> {
    const head = new Uint8Array(14);
    head.set([129, 255]);
    new DataView(head.buffer).setBigUint64(2, BigInt(length));
    return this.#write(head);
  }

  /** Bytes as they are. */
  push(bytes: Uint8Array): Promise<void> {
    return this.#write(bytes);
  }

  /** The closing frame; the server answers it and lets go of the connection. */
  close(code = 1000): Promise<void> {
    return this.#send(8, new Uint8Array([code >> 8, code & 255]));
  }

  /** Ends the connection without a closing handshake. */
  cut(): void {
    try {
      this.connection.close();
    } catch {
      // Ended already.
    }
  }

  async #handshake(accept: string): Promise<void> {
    let end = -1;
    while ((end = DECODER.decode(this.#buffer).indexOf("\r\n\r\n")) < 0) {
      if (!await this.#fill()) throw new Error("The server closed the connection within the handshake");
    }
    const head = DECODER.decode(this.#buffer).slice(0, end);
    this.#buffer = this.#buffer.subarray(end + 4);
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]);
    if (status === 101) {
      if (!head.includes(accept)) throw new Error(`The handshake was accepted with another key: ${head}`);
      this.received = this.#buffer.length;
      return;
    }
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    while (this.#buffer.length < length && await this.#fill());
    throw new HandshakeRefused(status, DECODER.decode(this.#buffer));
  }

  async #frame(): Promise<{ opcode: number; payload: Uint8Array } | undefined> {
    if (!await this.#need(2)) return undefined;
    const opcode = this.#buffer[0]! & 15;
    const short = this.#buffer[1]! & 127;
    const start = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (!await this.#need(start)) return undefined;
    const view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset);
    const length = short === 126 ? view.getUint16(2) : short === 127 ? Number(view.getBigUint64(2)) : short;
    if (!await this.#need(start + length)) return undefined;
    const payload = this.#buffer.slice(start, start + length);
    this.#buffer = this.#buffer.subarray(start + length);
    return { opcode, payload };
  }

  async #need(length: number): Promise<boolean> {
    while (this.#buffer.length < length) if (!await this.#fill()) return false;
    return true;
  }

  async #fill(): Promise<boolean> {
    const chunk = new Uint8Array(65_536);
    const read = await this.connection.read(chunk);
    if (read === null) return false;
    this.received += read;
    const joined = new Uint8Array(this.#buffer.length + read);
    joined.set(this.#buffer);
    joined.set(chunk.subarray(0, read), this.#buffer.length);
    this.#buffer = joined;
    return true;
  }

  /** What a client sends is masked; a mask of zeros is one. */
  #send(opcode: number, payload: Uint8Array): Promise<void> {
    return this.#write(new Uint8Array([128 | opcode, 128 | payload.length, 0, 0, 0, 0, ...payload]));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.connection.write(bytes.subarray(sent));
  }
}

/** What a server has to answer to this key (RFC 6455, 4.2.2). */
async function acceptOf(key: string): Promise<string> {
  const bytes = ENCODER.encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  return new Uint8Array(await crypto.subtle.digest("SHA-1", bytes)).toBase64();
}
