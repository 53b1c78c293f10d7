import { codeInForce } from "../db/letters.ts";
import type { Sql } from "../db/sql.ts";
import { codeFor, type CodePurpose } from "../security/codes.ts";
import { type JobHandler, JobParked } from "../workers/job_runner.ts";
import { codeLetter } from "./letters.ts";
import { type Mailer, MailError } from "./sender.ts";

interface Options {
  mailer: Mailer;
  codeKey: Uint8Array;
  /** Whether the letters go to the bundled server, which drops a Message-ID it has: only then is an unclear hand-over repeated. */
  bundled: boolean;
  sql: Sql;
}

/** Sends a code. The job holds only what the code is derived from; one that is void by now is not sent. */
export function letterJob({ mailer, codeKey, bundled, sql }: Options): JobHandler {
  return async ({ id, payload, state }) => {
    const { letter, user_id, nonce, to } = payload as {
      letter: CodePurpose;
      user_id: string;
      nonce: string;
      to: string;
    };
    if (!await codeInForce(sql, user_id, letter, nonce)) return;
    // A claim that ran out means a crash, perhaps between hand-over and mark.
    if (state === "abandoned" && !bundled) {
      throw new JobParked("whether the letter was handed over before a crash is unknown", "unknown");
    }
    try {
      await mailer.send({
        to,
        messageId: `<${id}.${user_id}@rookery>`,
        ...codeLetter(letter, codeFor(codeKey, letter, user_id, nonce)),
      });
    } catch (error) {
      if (!(error instanceof MailError) || error.kind === "temporary" || (error.kind === "unclear" && bundled)) {
        throw error;
      }
      throw new JobParked(error.message, error.kind === "permanent" ? "dead" : "unknown");
    }
  };
}
