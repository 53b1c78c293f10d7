import type { Log } from "../log.ts";
import { Connections, type Peer } from "./connections.ts";

export interface HttpServer extends Disposable {
  readonly addr: Deno.NetAddr;
  /** Accepts no more connections, and resolves when all requests are answered. */
  shutdown(): Promise<void>;
}

export interface HttpServerOptions {
  hostname: string;
  /** 0 picks a free port. */
  port: number;
  log: Log;
}

/** Serves HTTP and closes idle connections. */
export function serveHttp(
  { hostname, port, log }: HttpServerOptions,
  handler: (request: Request, address: string, peer?: Peer) => Response | Promise<Response>,
): HttpServer {
  const server = Deno.serve({ hostname, port, onListen: () => {}, onError: (error) => failed(error, log) }, async (
    request,
    { remoteAddr, completed },
  ) => {
    if (!("hostname" in remoteAddr)) return await handler(request, "local");
    const peer = connections?.heard(remoteAddr);
    if (!peer) return await handler(request, remoteAddr.hostname);
    const ended = () => {
      peer.open--;
      peer.lastAt = Date.now();
    };
    completed.then(ended, ended);
    const response = await handler(request, remoteAddr.hostname, peer);
    connections!.answered(peer, request, response.status);
    return response;
  });
  const connections = Connections.watch(server.addr.port, log);
  return {
    addr: server.addr,
    shutdown: () => server.shutdown(),
    [Symbol.dispose]: () => connections?.[Symbol.dispose](),
  };
}

function failed(error: unknown, log: Log): Response {
  log.error("failed to create a response", { error });
  return new Response(null, { status: 500 });
}
