import { isBounced } from "../../db/bounces.ts";
import { beginLetter, type DeliveryKey } from "../../db/deliveries.ts";
import { codeInForce, type CodePurpose, LETTER_JOB } from "../../db/letters.ts";
import { codeFor } from "../../security/codes.ts";
import type { JobKind } from "../kind.ts";
import { codeLetter } from "./code_letter.ts";
import { handOver, leftUnknown, type LetterParts } from "./hand_over.ts";
import type { LetterText } from "./layout.ts";
import { type Notice, noticeLetter } from "./notice_letter.ts";

type Payload = { user_id: string; to: string } & ({ letter: CodePurpose; nonce: string } | { notice: Notice });

/** Codes, and notices about an account's security: letters for one person, of which the job says everything. */
export function letterJobs(parts: LetterParts & { codeKey: Uint8Array }): Record<string, JobKind> {
  const { sql, bundled, codeKey } = parts;

  /** Undefined for what is not to be sent any more. */
  async function compose(payload: Payload): Promise<LetterText | undefined> {
    const { user_id, to } = payload;
    // Somebody asked for a code, and so is there to say that the mailbox works again; nobody asked for a notice.
    if ("notice" in payload) return await isBounced(sql, to) ? undefined : noticeLetter(payload.notice);
    const { letter, nonce } = payload;
    const subject = { purpose: letter, user: user_id, address: to };
    // The job holds only what the code is derived from; one that is void by now is not sent.
    if (!await codeInForce(sql, subject, nonce)) return undefined;
    return codeLetter(letter, codeFor(codeKey, subject, nonce));
  }

  return {
    [LETTER_JOB]: {
      run: async (job, signal) => {
        const payload = job.payload as Payload;
        const letter = await compose(payload);
        if (!letter) return;
        const key: DeliveryKey = { event: job.id, user: payload.user_id };
        const state = await beginLetter(sql, key, bundled);
        if (state === "unknown") throw leftUnknown();
        if (state !== "sending") return;
        return await handOver(parts, { job, key, letter: { to: payload.to, ...letter }, signal });
      },
    },
  };
}
