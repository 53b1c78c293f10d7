import { beginPart, below, type Part } from "../../lib/tracing.ts";
import type { Mail } from "./mailbox.ts";
import { nameOf, type Ref } from "./protocol.ts";

/**
 * Runs a turn in a span of each traced command, so that each request's trace is complete. What the turn reads is below
 * the first one. The spans become the commands' places, below which their statements are.
 */
export async function inTurnSpans(ref: Ref, mails: readonly Mail[], work: () => Promise<void>): Promise<void> {
  const parts: Part[] = [];
  for (const mail of mails) {
    const { origin, command } = mail;
    if (origin?.traceparent === undefined) continue;
    const attributes = { "rookery.actor": `${ref.kind}/${ref.id}`, "rookery.commands": mails.length };
    const part = beginPart(origin.traceparent, `turn ${nameOf(ref, command)}`, attributes);
    mail.origin = { ...origin, traceparent: part.traceparent };
    parts.push(part);
  }
  try {
    await below(parts[0]?.traceparent, work);
  } finally {
    for (const part of parts) part.end();
  }
}

/** Runs the statement of several turns in a span of each traced one. */
export async function inStatementSpans<T>(
  name: string,
  turns: readonly { traceparent?: string | undefined }[],
  work: () => Promise<T>,
): Promise<T> {
  const attributes = {
    "db.system.name": "postgresql",
    "db.query.summary": name,
    "db.operation.batch.size": turns.length,
  };
  const parts = turns.flatMap(({ traceparent }) =>
    traceparent === undefined ? [] : [beginPart(traceparent, name, attributes, "client")]
  );
  let failure: unknown;
  try {
    // The driver would add a span of its own.
    return await below(undefined, work);
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    for (const part of parts) part.end(failure);
  }
}
