import { type Job, type JobRef, passJobOn } from "../db/jobs.ts";
import { disownFiles, filesOf } from "../db/files.ts";
import { CROP_JOB, ownerOfPhoto, PHOTO_RESULT_JOB, type PhotoResult } from "../db/photos.ts";
import type { Sql } from "../db/sql.ts";
import { backoff } from "../lib/backoff.ts";
import type { Log } from "../lib/log.ts";
import type { CropOutcome, CropSupervisor } from "../services/images/crop/supervisor.ts";
import type { CropResult } from "../services/images/crop/task.ts";
import { type JobKind, JobPostponed } from "./kind.ts";
import { JOB_KINDS } from "./kinds.ts";
import type { JobQueue } from "./queue/queue.ts";

export interface ImageCropParts {
  sql: Sql;
  queue: JobQueue;
  /** Crop processes, each for one photo at a time. */
  children: readonly Pick<CropSupervisor, "run" | typeof Symbol.asyncDispose>[];
  log: Log;
  /** A photo was cropped or has failed; this job reports it to its actor. */
  onResult: (job: JobRef) => void;
}

/** Time limit per photo in milliseconds. Long, because crop processes run at low priority (`docs/limits.md`). */
const TIME_LIMIT_MS = 120_000;
/** Attempts that may end in a crash, a kill or a hang before the photo fails. */
const MAX_TRIES = 4;
const RETRY_BACKOFF = backoff({ firstMs: 2_000, maxMs: 60_000, factor: 4, jitter: [0.5, 1] });
const STORAGE_BACKOFF = backoff({ firstMs: 2_000, maxMs: 2_000, jitter: [0.5, 1] });
/** Pixels. Larger pictures are rejected at upload. */
const MAX_SIDE = 50_000;

/** Crops photos in separate processes. The result is passed to the actor of the photo as another job. */
export function imageCropJobs({ sql, queue, children, log, onResult }: ImageCropParts): Record<string, JobKind> {
  const free = [...children];

  async function crop(job: Job, signal: AbortSignal): Promise<CropOutcome> {
    const child = free.pop();
    if (!child) throw new Error("The queue delivered more jobs than requested");
    const breakOff = () => void child[Symbol.asyncDispose]();
    signal.addEventListener("abort", breakOff);
    try {
      return sane(await child.run(taskOf(job), { timeoutMs: TIME_LIMIT_MS }));
    } finally {
      signal.removeEventListener("abort", breakOff);
      free.push(child);
    }
  }

  /** If the claim was lost, another process has the photo, or it was deleted: then nothing owns these files. */
  async function passOn(job: Job, result: PhotoResult): Promise<"finished"> {
    if (await passJobOn(sql, job, PHOTO_RESULT_JOB, { result })) onResult({ kind: PHOTO_RESULT_JOB, id: job.id });
    else {
      const { staged, key } = taskOf(job);
      if (!await ownerOfPhoto(sql, job.id)) await disownFiles(sql, filesOf(key, staged));
    }
    return "finished";
  }

  return {
    [CROP_JOB]: {
      ...JOB_KINDS[CROP_JOB],
      concurrency: children.length,
      queue,
      backoff: RETRY_BACKOFF,
      run: async (job, signal) => {
        const outcome = await crop(job, signal);
        if (outcome.ok) {
          const { format, side, variants, placeholder } = outcome.photo;
          return await passOn(job, { id: job.id, ok: true, format, side, variants, placeholder });
        }
        const { permanent, reason, message } = outcome;
        if (!permanent) {
          const error = `${reason}: ${message}`;
          // Neither this process's stop nor an unavailable storage is a failure of the photo.
          if (signal.aborted) throw new JobPostponed(error, 0);
          if (reason === "storage-unavailable") throw new JobPostponed(error, STORAGE_BACKOFF(1));
          if (job.attempts < MAX_TRIES) throw new Error(error);
        }
        log.warn("cropping a photo failed", { job: job.id, attempts: job.attempts, reason, message });
        return await passOn(job, { id: job.id, ok: false, problem: reason });
      },
    },
  };
}

/** The decoder reads untrusted files, so its process is not trusted either. */
function sane(outcome: CropOutcome): CropOutcome {
  if (!outcome.ok || isPossible(outcome.photo)) return outcome;
  return {
    id: outcome.id,
    ok: false,
    permanent: false,
    reason: "engine-failed",
    message: "The crop process returned an invalid result",
  };
}

function isPossible({ format, side, variants, placeholder }: CropResult): boolean {
  const sides = [side, ...variants];
  return (format === "jpeg" || format === "webp") && placeholder.length <= 200 && variants.length <= 2 &&
    sides.every((value) => Number.isInteger(value) && value > 0 && value <= MAX_SIDE);
}

function taskOf({ id, payload }: Job): { id: string; staged: string; key: string } {
  return { id, staged: String(payload["staged"]), key: String(payload["key"]) };
}
