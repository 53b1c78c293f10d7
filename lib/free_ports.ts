/** Below the ports that systems give to outgoing connections, which would take a free one before its server does. */
const PORTS = { first: 10_000, count: 22_000 };

/** Ports of the loopback interface that no process listens on, for servers that start later. */
export function freePorts(count: number): number[] {
  const listeners: Deno.TcpListener[] = [];
  try {
    while (listeners.length < count) {
      try {
        const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
        listeners.push(Deno.listen({ hostname: "127.0.0.1", port }));
      } catch (error) {
        if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      }
    }
    return listeners.map(({ addr }) => addr.port);
  } finally {
    for (const listener of listeners) listener.close();
  }
}
