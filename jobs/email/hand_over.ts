import { countRecordedBounce, finishBounced, recordBounce, relayRefuses, takeBackBounces } from "../../db/bounces.ts";
import { type DeliveryKey, finishDelivery, recordDelivery } from "../../db/deliveries.ts";
import type { Claim } from "../../db/jobs.ts";
import type { Sql } from "../../db/sql.ts";
import type { Log } from "../../lib/log.ts";
import { JobParked } from "../kind.ts";
import { messageId } from "../../services/mail/message_id.ts";
import { type Mailer, MailError, type Outgoing } from "../../services/mail/sender.ts";

/** What is needed to send emails. */
export interface EmailParts {
  sql: Sql;
  mailer: Mailer;
  /**
   * Whether emails go to the bundled server, which drops a repeated Message-ID. Only then is an unclear delivery
   * repeated.
   */
  bundled: boolean;
  log: Log;
}

export interface HandOver {
  /** Deleted with the delivery. */
  job: Claim;
  key: DeliveryKey;
  message: Omit<Outgoing, "messageId">;
  signal: AbortSignal;
}

/**
 * Delivers an email whose row says `sending`, and records the outcome. If that fails the row stays `sending`, and the
 * next attempt treats the email as possibly delivered. Returns `finished` if the server accepted it, or has no
 * such mailbox; the job is then deleted. Throws to retry or park the job.
 */
export async function handOver(
  parts: EmailParts,
  { job, key, message, signal }: HandOver,
): Promise<"finished"> {
  const { sql, mailer, bundled } = parts;
  try {
    await mailer.send({ ...message, messageId: messageId(key, mailer.domain) }, signal);
  } catch (error) {
    if (!(error instanceof MailError)) throw error;
    switch (error.kind) {
      case "temporary":
        await recordDelivery(sql, key, "due");
        throw error;
      case "bounced":
        await recordDelivery(sql, key, "failed");
        return await bounced(parts, job, key.user, message.to, error);
      case "permanent":
        await recordDelivery(sql, key, "failed");
        throw new JobParked(error.message, "dead");
      case "unclear":
        if (bundled) throw error;
        await recordDelivery(sql, key, "unknown");
        throw new JobParked(error.message, "unknown");
    }
  }
  await finishDelivery(sql, key, job, message.to);
  return "finished";
}

/**
 * The server says that the address does not exist. If it says so for many people at once, the server is at fault, and
 * the bounces are removed.
 */
async function bounced(
  { sql, log }: EmailParts,
  job: Claim,
  user_id: string,
  to: string,
  error: MailError,
): Promise<"finished"> {
  const code = error.code ?? "";
  // Before the check, so that the email that finds the relay at fault removes it.
  const until = await recordBounce(sql, to, code, error.message);
  if (await relayRefuses(sql)) {
    const freed = await takeBackBounces(sql, error.message);
    // Once, for all before. The other emails are logged by their own jobs.
    if (freed > 1) {
      log.error("mail relay refuses many recipients, removing bounces and parking emails", { code, freed });
    }
    throw new JobParked(error.message, "dead");
  }
  // Removed since the check: this email is left to this job.
  if (!await finishBounced(sql, job, to)) throw new JobParked(error.message, "dead");
  countRecordedBounce();
  log.warn("email bounced", { user_id, code, until });
  return "finished";
}

/** The job's last attempt ended while its row said `sending`, so the server may have accepted the email. */
export function leftUnknown(): JobParked {
  return new JobParked("the email may have been delivered before a crash", "unknown");
}
