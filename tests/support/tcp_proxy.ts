/** A TCP proxy that a test can make fail: it passes bytes on, swallows them silently, or resets connections. */
export class TcpProxy implements AsyncDisposable {
  /** What the target sends waits for this. */
  beforeReply: (bytes: Uint8Array) => Promise<void> = async () => {};
  #mode: "pass" | "swallow" | "refuse" = "pass";
  #connections = new Set<Deno.TcpConn>();
  /** Their bytes are swallowed for ever. */
  #forgotten = new Set<Deno.TcpConn>();
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  constructor(private readonly target: number) {
    void this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** New connections and bytes go through again. Connections that were swallowed are ended. */
  pass(): void {
    if (this.#mode === "swallow") this.#endAll();
    this.#mode = "pass";
  }

  /** Both ends stay connected and receive nothing, as behind a broken switch. */
  swallow(): void {
    this.#mode = "swallow";
  }

  /** Both ends of each connection stay connected and receive nothing. New ones go through, as at a new router. */
  forget(): void {
    for (const connection of this.#connections) this.#forgotten.add(connection);
  }

  /** Ends all connections, and each new one at once. */
  refuse(): void {
    this.#mode = "refuse";
    this.#endAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.#endAll();
    await Promise.resolve();
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) void this.#join(client);
    } catch {
      // The listener was closed.
    }
  }

  async #join(client: Deno.TcpConn): Promise<void> {
    if (this.#mode === "refuse") return close(client);
    this.#connections.add(client);
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.target });
    } catch {
      return this.#end(client);
    }
    this.#connections.add(server);
    // Small messages must not wait for the acknowledgement of earlier ones.
    for (const connection of [client, server]) connection.setNoDelay();
    void this.#copy(client, server, async () => {});
    void this.#copy(server, client, (bytes) => this.beforeReply(bytes));
  }

  async #copy(from: Deno.TcpConn, to: Deno.TcpConn, before: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    try {
      for await (const bytes of from.readable) {
        await before(bytes);
        if (this.#mode === "swallow" || this.#forgotten.has(from)) continue;
        for (let sent = 0; sent < bytes.length;) sent += await to.write(bytes.subarray(sent));
      }
    } catch {
      // One end is gone.
    }
    this.#end(from);
    this.#end(to);
  }

  #endAll(): void {
    for (const connection of [...this.#connections]) this.#end(connection);
  }

  #end(connection: Deno.TcpConn): void {
    this.#connections.delete(connection);
    this.#forgotten.delete(connection);
    close(connection);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was closed by the other end.
  }
}
