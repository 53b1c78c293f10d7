import { isBounced } from "../../db/bounces.ts";
import { beginEmail, type DeliveryKey } from "../../db/deliveries.ts";
import { codeInForce, type CodePurpose, EMAIL_JOB } from "../../db/letters.ts";
import { codeFor } from "../../security/codes.ts";
import type { JobKind } from "../kind.ts";
import { JOB_KINDS } from "../kinds.ts";
import { codeEmail } from "./code_email.ts";
import { type EmailParts, handOver, leftUnknown } from "./hand_over.ts";
import type { EmailText } from "./layout.ts";
import { type Notice, noticeEmail } from "./notice_email.ts";

type Payload = { user_id: string; to: string } & ({ letter: CodePurpose; nonce: string } | { notice: Notice });

/** Emails with codes and security notices: each to one person, with its content in the job. */
export function emailJobs(parts: EmailParts & { codeKey: Uint8Array }): Record<string, JobKind> {
  const { sql, bundled, codeKey } = parts;

  /** Undefined if the email must not be sent any more. */
  async function compose(payload: Payload): Promise<EmailText | undefined> {
    const { user_id, to } = payload;
    // A code was requested by a person who may report that the mailbox works again. A notice was not.
    if ("notice" in payload) return await isBounced(sql, to) ? undefined : noticeEmail(payload.notice);
    const { letter: purpose, nonce } = payload;
    const subject = { purpose, user: user_id, address: to };
    // The job has only what the code is derived from. An invalid code is not sent.
    if (!await codeInForce(sql, subject, nonce)) return undefined;
    return codeEmail(purpose, codeFor(codeKey, subject, nonce));
  }

  return {
    [EMAIL_JOB]: {
      ...JOB_KINDS[EMAIL_JOB],
      run: async (job, signal) => {
        const payload = job.payload as Payload;
        const email = await compose(payload);
        if (!email) return;
        const key: DeliveryKey = { event: job.id, user: payload.user_id };
        const state = await beginEmail(sql, key, bundled);
        if (state === "unknown") throw leftUnknown();
        if (state !== "sending") return;
        return await handOver(parts, { job, key, message: { to: payload.to, ...email }, signal });
      },
    },
  };
}
