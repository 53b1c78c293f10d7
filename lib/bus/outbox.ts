import { setImmediate } from "node:timers";

/**
 * Messages of one turn of the event loop, handed to the connection together. It then writes them to its socket at
 * once: a write costs more than a message.
 */
export class Outbox {
  #waiting: (() => void)[] = [];

  /** Runs `send` soon, with others. It must not throw. */
  post(send: () => void): void {
    this.#waiting.push(send);
    if (this.#waiting.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const sending = this.#waiting;
    this.#waiting = [];
    for (const send of sending) send();
  }
}
