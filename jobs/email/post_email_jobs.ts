import {
  beginDigest,
  beginPostLetter,
  DIGEST_JOB,
  EXPAND_JOB,
  expandPost,
  POST_LETTER_JOB,
} from "../../db/deliveries.ts";
import type { JobRef } from "../../db/jobs.ts";
import type { Secret } from "../../security/secret.ts";
import type { JobKind } from "../kind.ts";
import { nextDigest } from "../../actors/digest_time.ts";
import { handOver, leftUnknown, type LetterParts } from "./hand_over.ts";
import { digestLetter, postLetter } from "./post_letter.ts";
import { letterLinks, listHeaders } from "./unsubscribe.ts";

export interface PostLetterParts extends LetterParts {
  secret: Secret;
  /** Where people reach the site; known once it listens. */
  publicUrl: () => Promise<string>;
  digestEveryMs: number;
  /** Of jobs that are due now. */
  notifyJobs: (jobs: readonly JobRef[]) => void;
}

/** Followers that one statement deals with. */
const STEP = 500;
/** Posts a digest shows. */
const SHOWN = 30;

/** Letters about posts: a post is brought to its page's followers step by step, each gets a letter of their own, or a digest. */
export function postLetterJobs(parts: PostLetterParts): Record<string, JobKind> {
  const { sql, mailer, bundled, secret, publicUrl, digestEveryMs, notifyJobs } = parts;
  const digestAt = () => nextDigest(Date.now(), digestEveryMs);
  return {
    [EXPAND_JOB]: {
      concurrency: 2,
      run: async (job, signal) => {
        for (let seen = STEP; seen === STEP;) {
          // What is left is done by whoever has the job next.
          signal.throwIfAborted();
          const step = await expandPost(sql, job, STEP, digestAt());
          notifyJobs(step.letters);
          seen = step.seen;
        }
      },
    },
    [POST_LETTER_JOB]: {
      run: async (job, signal) => {
        const user = String(job.payload["user_id"]);
        const key = { event: String(job.payload["post_id"]), user };
        const { state, email, post } = await beginPostLetter(sql, key, bundled, digestAt());
        if (state === "unknown") throw leftUnknown();
        if (state !== "sending" || !email || !post) return;
        const links = letterLinks(secret, await publicUrl(), user);
        const letter = { to: email, headers: listHeaders(links, mailer.domain), ...postLetter(post, links) };
        return await handOver(parts, { job, key, letter, signal });
      },
    },
    [DIGEST_JOB]: {
      run: async (job, signal) => {
        const user = String(job.payload["user_id"]);
        const key = { event: job.id, user };
        const { state, email, posts, total } = await beginDigest(sql, key, bundled, SHOWN);
        if (state === "unknown") throw leftUnknown();
        if (state !== "sending" || !email || posts.length === 0) return;
        const links = letterLinks(secret, await publicUrl(), user);
        const letter = { to: email, headers: listHeaders(links, mailer.domain), ...digestLetter(posts, total, links) };
        return await handOver(parts, { job, key, letter, signal });
      },
    },
  };
}
