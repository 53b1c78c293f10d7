import { NatsConnectionImpl, setTransportFactory } from "@nats-io/nats-core/internal";
import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import { nodeResolveHost, NodeTransport } from "@nats-io/transport-node/lib/node_transport.js";
import { createConnection, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";

type Address = Parameters<NodeTransport["dial"]>[0];

/** Like `connect` of the client, with a socket whose late errors do not end the process. */
export async function connectNats(options: ConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({ factory: () => new TolerantTransport(), dnsResolveFn: nodeResolveHost });
  return await NatsConnectionImpl.connect(options);
}

/**
 * The client removes all listeners of a socket that it gives up. If the server has reset the connection at that moment,
 * as it does with a client that it refuses, the error arrives afterwards and would be an uncaught exception.
 */
class TolerantTransport extends NodeTransport {
  override async dial({ hostname, port }: Address): Promise<Socket> {
    const socket = tolerant(createConnection(port, hostname));
    socket.setNoDelay(true);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once("connect", resolve).once("error", reject);
    await promise;
    socket.removeAllListeners();
    return socket;
  }

  override async tlsFirst(address: Address): Promise<TLSSocket> {
    return tolerant(await super.tlsFirst(address));
  }

  override async startTLS(): Promise<TLSSocket> {
    return tolerant(await super.startTLS());
  }
}

/** Always with a listener for errors, which ignores them: the event `close` follows each. */
function tolerant<Kind extends Socket>(socket: Kind): Kind {
  const ignore = () => {};
  const remove = socket.removeAllListeners.bind(socket);
  socket.removeAllListeners = (...event: Parameters<typeof remove>) => {
    remove(...event);
    return socket.on("error", ignore);
  };
  return socket.on("error", ignore);
}
