import { claimJobs, type Job, type JobRef, passJobOn, renewJob, returnJob, unnotifiedJobs } from "../db/jobs.ts";
import { disownFiles, filesOf } from "../db/files.ts";
import { CROP_JOB, ownerOfPhoto, PHOTO_RESULT_JOB, type PhotoResult } from "../db/photos.ts";
import type { Sql } from "../db/sql.ts";
import type { CropChild, CropOutcome } from "../services/images/crop_child.ts";
import type { CropResult } from "../services/images/crop_task.ts";
import type { CropQueue } from "../services/images/crop_queue.ts";
import type { Log } from "../lib/log.ts";
import { Poller } from "../lib/poller.ts";
import { backoff } from "../lib/backoff.ts";

export interface ImageCropOptions {
  sql: Sql;
  queue: CropQueue;
  /** The processes that crop, each one photo at a time; they end with this. */
  children: readonly CropChild[];
  log: Log;
  /** A photo's crop has come to an end; its actor is to be told. */
  onSettled: (job: JobRef) => void;
}

/** Milliseconds one photo may take; long, since whoever crops stands back behind everybody else (`docs/limits.md`). */
const TIME_LIMIT_MS = 120_000;
/** A claim is renewed this often, and holds so long without. */
const RENEW_MS = 10_000;
const LEASE_MS = 30_000;
/** Tries that may end in a crash, a kill or a hang. */
const MAX_TRIES = 4;
const JITTER = [0.5, 1] as const;
const RETRY_BACKOFF = backoff({ firstMs: 2_000, maxMs: 60_000, factor: 4, jitter: JITTER });
const WAIT_BACKOFF = backoff({ firstMs: 2_000, maxMs: 2_000, jitter: JITTER });
/** Without a signal, due jobs are looked for this often; one that the queue lost is rung again so much later. */
const SWEEP_MS = 1_000;
const NOTIFY_AGAIN_MS = 20_000;
const NOTIFY_BATCH = 500;
/** What is under way at a stop may end in this time; then it is broken off, and done anew elsewhere. */
const GRACE_MS = 2_000;
/** Pixels; no picture that is taken in is wider. */
const MAX_SIDE = 50_000;

/**
 * Takes photos to the processes that crop them. The job's row is the truth, the queue carries its id: rung when it is due, taken by
 * whoever is free, claimed under a lease. What a photo comes to is passed on as another job, for the actor that owns it.
 */
export class ImageCrop implements AsyncDisposable {
  #free: CropChild[];
  #consumer: AsyncDisposable;
  #sweep: Poller;

  constructor(private readonly options: ImageCropOptions) {
    this.#free = [...options.children];
    this.#consumer = options.queue.consume((id) => this.#crop(id), options.children.length);
    this.#sweep = new Poller({
      everyMs: SWEEP_MS,
      step: () => this.#notify(),
      onFailure: (error) => options.log.warn("photos that wait could not be looked at; trying again", { error }),
    });
  }

  /** A job was committed. */
  wake(): void {
    this.#sweep.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const swept = this.#sweep[Symbol.asyncDispose]();
    const stopped = this.#consumer[Symbol.asyncDispose]();
    const timer = setTimeout(() => void this.#endChildren(), GRACE_MS);
    await stopped;
    clearTimeout(timer);
    await this.#endChildren();
    await swept;
  }

  async #endChildren(): Promise<void> {
    await Promise.all(this.options.children.map((child) => child[Symbol.asyncDispose]()));
  }

  async #notify(): Promise<boolean> {
    const { sql, queue } = this.options;
    const ids = await unnotifiedJobs(sql, CROP_JOB, NOTIFY_BATCH, NOTIFY_AGAIN_MS);
    if (ids.length > 0) await queue.push(ids);
    return ids.length === NOTIFY_BATCH;
  }

  /** Never throws: what fails here is found again by the sweep, when the claim has run out. */
  async #crop(id: string): Promise<void> {
    const child = this.#free.pop();
    if (!child) throw new Error("The queue gives more than was asked for");
    try {
      const [job] = await claimJobs(this.options.sql, CROP_JOB, [id], LEASE_MS);
      if (job) await this.#store(job, await this.#run(child, job));
    } catch (error) {
      if (!this.#sweep.closed) this.options.log.warn("a photo could not be cropped; trying again", { job: id, error });
    } finally {
      this.#free.push(child);
    }
  }

  async #run(child: CropChild, job: Job): Promise<CropOutcome> {
    const renewing = setInterval(() => void renewJob(this.options.sql, job, LEASE_MS).catch(() => {}), RENEW_MS);
    try {
      return await child.run(taskOf(job), { timeoutMs: TIME_LIMIT_MS });
    } finally {
      clearInterval(renewing);
    }
  }

  /** Where the claim was lost, another is at it, or the photo is gone: then these files came after whoever removed it. */
  async #passOn(job: Job, result: PhotoResult): Promise<void> {
    const { sql, onSettled } = this.options;
    if (await passJobOn(sql, job, PHOTO_RESULT_JOB, { result })) {
      return onSettled({ kind: PHOTO_RESULT_JOB, id: job.id });
    }
    const { staged, key } = taskOf(job);
    if (!await ownerOfPhoto(sql, job.id)) await disownFiles(sql, filesOf(key, staged));
  }

  async #store(job: Job, outcome: CropOutcome): Promise<void> {
    const { sql, log } = this.options;
    if (outcome.ok && !isSane(outcome.photo)) {
      outcome = { id: job.id, ok: false, permanent: false, reason: "engine-failed", message: "No such photo can be" };
    }
    if (outcome.ok) {
      const { format, side, variants, placeholder } = outcome.photo;
      const result: PhotoResult = { id: job.id, ok: true, format, side, variants, placeholder };
      return await this.#passOn(job, result);
    }
    const { permanent, reason, message } = outcome;
    // Neither a storage that is away nor our own end is a fault of the photo's: it waits.
    const counts = reason !== "storage-unavailable" && !this.#sweep.closed;
    if (!this.#sweep.closed) {
      log.warn("a photo could not be cropped", { job: job.id, attempts: job.attempts, reason, message });
    }
    if (permanent || (counts && job.attempts >= MAX_TRIES)) {
      const result: PhotoResult = { id: job.id, ok: false, problem: reason };
      return await this.#passOn(job, result);
    }
    const pause = counts ? RETRY_BACKOFF(job.attempts) : this.#sweep.closed ? 0 : WAIT_BACKOFF(1);
    await returnJob(sql, job, "waiting", pause, `${reason}: ${message}`, counts);
  }
}

/** The decoder is fed by strangers, and its process may say anything. */
function isSane({ format, side, variants, placeholder }: CropResult): boolean {
  const sides = [side, ...variants];
  return (format === "jpeg" || format === "webp") && placeholder.length <= 200 && variants.length <= 2 &&
    sides.every((value) => Number.isInteger(value) && value > 0 && value <= MAX_SIDE);
}

function taskOf({ id, payload }: Job): { id: string; staged: string; key: string } {
  return { id, staged: String(payload["staged"]), key: String(payload["key"]) };
}
