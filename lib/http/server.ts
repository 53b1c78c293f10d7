import type { Log } from "../log.ts";
import { withRequest } from "../request_context.ts";
import { received } from "../tracing.ts";
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
  /** Whether every request is logged. */
  accessLog?: boolean;
}

/** Serves HTTP and closes idle connections. */
export function serveHttp(
  { hostname, port, log, accessLog = false }: HttpServerOptions,
  handler: (request: Request, address: string, peer?: Peer) => Response | Promise<Response>,
): HttpServer {
  const server = Deno.serve({ hostname, port, onListen: () => {}, onError: (error) => failed(error, log) }, async (
    request,
    { remoteAddr, completed },
  ) => {
    const answer = (address: string, peer?: Peer) =>
      withRequest(
        received(request.headers),
        () => accessLog ? logged(request, log, () => handler(request, address, peer)) : handler(request, address, peer),
      );
    if (!("hostname" in remoteAddr)) return await answer("local");
    const peer = connections?.heard(remoteAddr);
    if (!peer) return await answer(remoteAddr.hostname);
    const ended = () => {
      peer.open--;
      peer.lastAt = Date.now();
    };
    completed.then(ended, ended);
    const response = await answer(remoteAddr.hostname, peer);
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

/** The line has no query, as it may have a secret. */
async function logged(request: Request, log: Log, work: () => Response | Promise<Response>): Promise<Response> {
  const start = performance.now();
  const { method, url } = request;
  const path = url.slice(url.indexOf("/", url.indexOf("//") + 2)).split("?", 1)[0];
  const response = await work();
  log.info("request", { method, path, status: response.status, ms: Math.round(performance.now() - start) });
  return response;
}

function failed(error: unknown, log: Log): Response {
  log.error("failed to create a response", { error });
  return new Response(null, { status: 500 });
}
