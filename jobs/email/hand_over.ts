import { recordBounce, relayRefuses, takeBackBounces } from "../../db/bounces.ts";
import { type DeliveryKey, finishDelivery, recordDelivery } from "../../db/deliveries.ts";
import type { Claim } from "../../db/jobs.ts";
import type { Sql } from "../../db/sql.ts";
import type { Log } from "../../lib/log.ts";
import { JobParked } from "../kind.ts";
import { messageId } from "../../services/mail/message_id.ts";
import { type Mailer, MailError, type Outgoing } from "../../services/mail/sender.ts";

/** What emails are sent with. */
export interface EmailParts {
  sql: Sql;
  mailer: Mailer;
  /** Whether the emails go to the bundled server, which drops a Message-ID it has: only then is an unclear hand-over repeated. */
  bundled: boolean;
  log: Log;
}

export interface HandOver {
  /** Ends with the hand-over. */
  job: Claim;
  key: DeliveryKey;
  message: Omit<Outgoing, "messageId">;
  signal: AbortSignal;
}

/**
 * Hands over an email whose row in the ledger says `sending`, and settles the row. Where that fails the row stays `sending`, and the
 * next try treats it as perhaps handed over. `finished`: the server took it, and the job is gone with that; otherwise there is no such
 * mailbox. Throws to have the job tried again or parked.
 */
export async function handOver(
  parts: EmailParts,
  { job, key, message, signal }: HandOver,
): Promise<"finished" | void> {
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
        return await bounced(parts, key.user, message.to, error);
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

/** The address does not exist, says the server; of many people at once that is the server's fault, and nothing is held against them. */
async function bounced({ sql, log }: EmailParts, user_id: string, to: string, error: MailError): Promise<void> {
  const code = error.code ?? "";
  if (await relayRefuses(sql)) {
    const freed = await takeBackBounces(sql, error.message);
    // Of the others the job's own line tells.
    if (freed > 0) {
      log.error("mail relay refuses many recipients; bounces are taken back and e-mails parked", { code, freed });
    }
    throw new JobParked(error.message, "dead");
  }
  log.warn("e-mail bounced", { user_id, code, until: await recordBounce(sql, to, code, error.message) });
}

/** A row left `sending` by a try that ended without a word, for a server that may have taken it. */
export function leftUnknown(): JobParked {
  return new JobParked("whether the email was handed over before a crash is unknown", "unknown");
}
