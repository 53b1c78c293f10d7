import type { DeliveryKey } from "../../db/deliveries.ts";

/** In the sender's domain (RFC 5322 §3.6.4), the same for the same e-mail. It names the row of the ledger, by which the bundled server knows whose it is. */
export function messageId({ event, user }: DeliveryKey, domain: string): string {
  return `<${event}.${user}@${domain}>`;
}

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const MESSAGE_ID = new RegExp(`^<(${UUID})\\.(${UUID})@`);

/** The row of the ledger that a Message-ID names. Anybody can write one, so only the ledger tells whether there is such a letter. */
export function deliveryOf(messageId: string): DeliveryKey | undefined {
  const [, event, user] = MESSAGE_ID.exec(messageId) ?? [];
  return event && user ? { event, user } : undefined;
}
