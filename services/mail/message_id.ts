import type { DeliveryKey } from "../../db/deliveries.ts";

/**
 * In the domain of the sender (RFC 5322 §3.6.4), the same for the same email. It names the row of the ledger, by which
 * the bundled server finds the account.
 */
export function messageId({ event, user }: DeliveryKey, domain: string): string {
  return `<${event}.${user}@${domain}>`;
}

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const MESSAGE_ID = new RegExp(`^<(${UUID})\\.(${UUID})@`);

/**
 * The row of the ledger that a Message-ID names. Anybody can forge one, so only the ledger decides whether the email
 * exists.
 */
export function deliveryOf(messageId: string): DeliveryKey | undefined {
  const [, event, user] = MESSAGE_ID.exec(messageId) ?? [];
  return event && user ? { event, user } : undefined;
}
