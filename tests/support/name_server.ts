/** A name server with one name, as Docker's is for the containers of a service. */
import { createSocket } from "node:dgram";

const HEADER_BYTES = 12;
const TYPE_A = 1;
const TTL_S = 1;

export class NameServer implements AsyncDisposable {
  /** What every question for an IPv4 address is answered with. */
  addresses: string[] = [];
  #socket = createSocket("udp4");

  static async start(): Promise<NameServer> {
    const server = new NameServer();
    server.#socket.on("message", (query, { port, address }) => {
      server.#socket.send(server.#answer(new Uint8Array(query)), port, address);
    });
    await new Promise<void>((resolve) => server.#socket.bind(0, "127.0.0.1", resolve));
    return server;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  /** RFC 1035 §4: the question is repeated, and each answer points to its name. */
  #answer(query: Uint8Array): Uint8Array {
    let end = HEADER_BYTES;
    while (query[end] !== 0) end += query[end]! + 1;
    const question = query.subarray(HEADER_BYTES, end + 5);
    const type = question[question.length - 3]!;
    const answers = type === TYPE_A ? this.addresses : [];
    const header = [query[0]!, query[1]!, 0x81, 0x80, 0, 1, 0, answers.length, 0, 0, 0, 0];
    const records = answers.flatMap((address) => [
      ...[0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, TTL_S, 0, 4],
      ...address.split(".").map(Number),
    ]);
    return Uint8Array.from([...header, ...question, ...records]);
  }
}
