import { DIGEST_JOB, EXPAND_JOB, POST_EMAIL_JOB } from "../db/deliveries.ts";
import { EMAIL_JOB } from "../db/letters.ts";
import { CROP_JOB, PHOTO_RESULT_JOB } from "../db/photos.ts";
import { RECOUNT_JOB } from "../db/recounts.ts";
import type { JobKind } from "./kind.ts";

type Limits = Pick<JobKind, "concurrency" | "maxTries">;

/** What only asks an actor is tried until the actor has answered. */
const ASKS_ACTOR: Limits = { maxTries: Infinity };

/**
 * All kinds of jobs, by their names in the database, with what differs from the defaults of `attempt.ts`: how many run
 * beside each other in a process, and how many attempts there are.
 */
export const JOB_KINDS = {
  /** Sends a code, or a notice about the security of an account. `email/email_jobs.ts` */
  [EMAIL_JOB]: {},
  /**
   * Brings a post to the followers of its page: an email each, or a place in their next digest.
   * `email/post_email_jobs.ts`
   */
  [EXPAND_JOB]: { concurrency: 2 },
  /** Sends a post to one follower. `email/post_email_jobs.ts` */
  [POST_EMAIL_JOB]: {},
  /** Sends a person the posts of a day. `email/post_email_jobs.ts` */
  [DIGEST_JOB]: {},
  /** Corrects unread counts after a page was hidden or is shown again. `recounts.ts` */
  [RECOUNT_JOB]: { concurrency: 2 },
  /**
   * Crops a photo, in as many processes as `CROP_PROCESSES` says. Its last attempt is a result, no dead job.
   * `image_crop.ts`
   */
  [CROP_JOB]: { maxTries: Infinity },
  /** Brings what became of a photo to the actor that owns it. `photo_results.ts` */
  [PHOTO_RESULT_JOB]: ASKS_ACTOR,
  /** Deletes an account whose email was never verified. `expiry.ts` */
  "user.expire": ASKS_ACTOR,
  /** Ends a block whose time is over. `expiry.ts` */
  "user.block_lapsed": ASKS_ACTOR,
  "page.block_lapsed": ASKS_ACTOR,
} as const satisfies Record<string, Limits>;
