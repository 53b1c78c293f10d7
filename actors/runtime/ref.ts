import type { KindName } from "./protocol.ts";

const CANONICAL_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * An id in another spelling would be a second actor over the same row, so ids are put into canonical form where they enter. Throws
 * where that was missed: a fault of this program, not of its caller.
 */
export function assertCanonical({ kind, id }: { kind: KindName; id: string }): void {
  if (!CANONICAL_ID.test(id)) throw new Error(`Expected a UUID in lower case, got ${kind} ${JSON.stringify(id)}`);
}
