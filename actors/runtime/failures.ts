import { SqlError } from "../../db/sql.ts";
import { FULL_RETRY_S } from "../../lib/errors.ts";
import { Fenced } from "./committer.ts";
import type { Mail } from "./mailbox.ts";
import type { Reply } from "./protocol.ts";

/** A message whose turn or commit failed. */
export interface Failure {
  mail: Mail;
  error: unknown;
}

export const MOVED_REPLY: Reply = { ok: false, moved: true };
const FAULT_REPLY: Reply = { ok: false, refusal: { code: "internal" } };
/** By the kind of the SQL error. All others are faults. */
const SQL_REPLIES: Partial<Record<SqlError["kind"], Reply>> = {
  unavailable: { ok: false, refusal: { code: "database-unavailable", retryAfter: 1 } },
  full: { ok: false, refusal: { code: "disk-full", retryAfter: FULL_RETRY_S } },
  lost: {
    ok: false,
    refusal: {
      code: "database-unavailable",
      detail: "The outcome is unknown, as the database connection was lost; repeat with the same Idempotency-Key",
      retryAfter: 1,
    },
  },
};

/** A mistake in the program: neither another owner of the partition nor the state of the database. */
export function isFault(error: unknown): boolean {
  return failureReply(error) === FAULT_REPLY;
}

/** The connection broke while the statement was under way. The server may still execute it. */
export function isLost(error: unknown): boolean {
  return error instanceof SqlError && error.kind === "lost";
}

export function failureReply(error: unknown): Reply {
  if (error instanceof Fenced) return MOVED_REPLY;
  return error instanceof SqlError ? SQL_REPLIES[error.kind] ?? FAULT_REPLY : FAULT_REPLY;
}
