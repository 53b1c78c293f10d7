import type { KindName } from "./protocol.ts";

const CANONICAL_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isCanonical(id: unknown): id is string {
  return typeof id === "string" && CANONICAL_ID.test(id);
}

/**
 * An id in another spelling would create a second actor for the same row, so ids are normalised at the API. Throws if
 * that was missed, which is a bug of this program.
 */
export function assertCanonical({ kind, id }: { kind: KindName; id: string }): void {
  if (!isCanonical(id)) throw new Error(`Expected a UUID in lower case, got ${kind} ${JSON.stringify(id)}`);
}
