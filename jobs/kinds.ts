import { DIGEST_JOB, EXPAND_JOB, POST_EMAIL_JOB } from "../db/deliveries.ts";
import { EMAIL_JOB } from "../db/letters.ts";
import { CROP_JOB, PHOTO_RESULT_JOB } from "../db/photos.ts";
import { RECOUNT_JOB } from "../db/recounts.ts";
import type { JobKind } from "./kind.ts";

type Limits = Pick<JobKind, "concurrency" | "maxTries">;

/** Jobs that only send a command to an actor are retried until it has answered. */
const ASKS_ACTOR: Limits = { maxTries: Infinity };

/**
 * All kinds of jobs by their names in the database, with what differs from the defaults of `attempt.ts`: concurrent
 * jobs per process and attempts.
 */
export const JOB_KINDS = {
  /** Sends a code, or a notice about the security of an account. `email/email_jobs.ts` */
  [EMAIL_JOB]: {},
  /**
   * Expands a post to the followers of its page: an email each, or an entry in their next digest.
   * `email/post_email_jobs.ts`
   */
  [EXPAND_JOB]: { concurrency: 2 },
  /** Sends a post to one follower. `email/post_email_jobs.ts` */
  [POST_EMAIL_JOB]: {},
  /** Sends a person the posts of a day. `email/post_email_jobs.ts` */
  [DIGEST_JOB]: {},
  /** Corrects unread counts after a page was hidden or shown again. `recounts.ts` */
  [RECOUNT_JOB]: { concurrency: 2 },
  /**
   * Crops a photo, in up to `CROP_PROCESSES` processes. Its last attempt is a result, not a dead job. `image_crop.ts`
   */
  [CROP_JOB]: { maxTries: Infinity },
  /** Reports the result of a crop to the actor of the photo. `photo_results.ts` */
  [PHOTO_RESULT_JOB]: ASKS_ACTOR,
  /** Deletes an account whose email was never verified. `expiry.ts` */
  "user.expire": ASKS_ACTOR,
  /** Ends an expired block. `expiry.ts` */
  "user.block_lapsed": ASKS_ACTOR,
  "page.block_lapsed": ASKS_ACTOR,
} as const satisfies Record<string, Limits>;
