import {
  beginDigest,
  beginPostEmail,
  DIGEST_JOB,
  EXPAND_JOB,
  expandPost,
  POST_EMAIL_JOB,
} from "../../db/deliveries.ts";
import type { JobRef } from "../../db/jobs.ts";
import type { Secret } from "../../security/secret.ts";
import type { JobKind } from "../kind.ts";
import { JOB_KINDS } from "../kinds.ts";
import { nextDigest } from "../../actors/digest_time.ts";
import { type EmailParts, handOver, leftUnknown } from "./hand_over.ts";
import { digestEmail, postEmail } from "./post_email.ts";
import { emailLinks, listHeaders } from "./unsubscribe.ts";

export interface PostEmailParts extends EmailParts {
  secret: Secret;
  /** The public URL of the site; known once the node listens. */
  publicUrl: () => Promise<string>;
  digestEveryMs: number;
  /** Announces jobs that are due now. */
  notifyJobs: (jobs: readonly JobRef[]) => void;
}

/** Followers per statement. */
const STEP = 500;
/** Posts per digest. */
const SHOWN = 30;

/**
 * Emails about posts. A post is expanded to its page's followers in steps; each gets an email or an entry in a digest.
 */
export function postEmailJobs(parts: PostEmailParts): Record<string, JobKind> {
  const { sql, mailer, bundled, secret, publicUrl, digestEveryMs, notifyJobs } = parts;
  const digestAt = () => nextDigest(Date.now(), digestEveryMs);
  return {
    [EXPAND_JOB]: {
      ...JOB_KINDS[EXPAND_JOB],
      run: async (job, signal) => {
        for (let seen = STEP; seen === STEP;) {
          // The next process that claims the job does the rest.
          signal.throwIfAborted();
          const step = await expandPost(sql, job, STEP, digestAt());
          notifyJobs(step.letters);
          seen = step.seen;
        }
      },
    },
    [POST_EMAIL_JOB]: {
      ...JOB_KINDS[POST_EMAIL_JOB],
      run: async (job, signal) => {
        const user = String(job.payload["user_id"]);
        const key = { event: String(job.payload["post_id"]), user };
        const { state, email, post } = await beginPostEmail(sql, key, bundled, digestAt());
        if (state === "unknown") throw leftUnknown();
        if (state !== "sending" || !email || !post) return;
        const links = emailLinks(secret, await publicUrl(), user);
        const message = { to: email, headers: listHeaders(links, mailer.domain), ...postEmail(post, links) };
        return await handOver(parts, { job, key, message, signal });
      },
    },
    [DIGEST_JOB]: {
      ...JOB_KINDS[DIGEST_JOB],
      run: async (job, signal) => {
        const user = String(job.payload["user_id"]);
        const key = { event: job.id, user };
        const { state, email, posts, total } = await beginDigest(sql, key, bundled, SHOWN);
        if (state === "unknown") throw leftUnknown();
        if (state !== "sending" || !email || posts.length === 0) return;
        const links = emailLinks(secret, await publicUrl(), user);
        const message = { to: email, headers: listHeaders(links, mailer.domain), ...digestEmail(posts, total, links) };
        return await handOver(parts, { job, key, message, signal });
      },
    },
  };
}
