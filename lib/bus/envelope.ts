import type { Log } from "../log.ts";
import { counter } from "../metrics/registry.ts";
import type { Sealing } from "./bus.ts";

const REJECTED = counter(
  "bus_rejected_messages_total",
  "Messages over NATS that were dropped, as no process of this installation has sealed them",
);

/**
 * What is sent over NATS, sealed if the process has the key. The `context` says what a message is for, so that a
 * recorded one is good for nothing else.
 */
export class Envelope {
  constructor(private readonly sealing: Sealing | undefined, private readonly log: Log) {}

  seal(plain: Uint8Array, context: string): Uint8Array {
    return this.sealing ? this.sealing.seal(plain, context) : plain;
  }

  /** Undefined for a message of a stranger, which is logged and counted. Never throws. */
  open(data: Uint8Array, context: string, subject: string): Uint8Array | undefined {
    if (!this.sealing) return data;
    const plain = this.sealing.open(data, context);
    if (plain) return plain;
    REJECTED.inc();
    this.log.warnOften("message over NATS rejected, not sealed with this SECRET_KEY", {}, { subject });
    return undefined;
  }
}
