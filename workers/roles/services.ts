import { imageCropJobs } from "../../jobs/image_crop.ts";
import type { Config } from "../../config.ts";
import { sequencerState } from "../../db/events.ts";
import type { JobRef } from "../../db/jobs.ts";
import type { Sql } from "../../db/sql.ts";
import { CropSupervisor } from "../../services/images/crop/supervisor.ts";
import type { JobQueue } from "../../jobs/queue/queue.ts";
import { LocalJobQueue } from "../../jobs/queue/local.ts";
import { CROP_QUEUES, RedisJobQueue } from "../../jobs/queue/redis.ts";
import type { Log } from "../../lib/log.ts";
import { startMailChild } from "../children/start_mail.ts";
import { emailJobs } from "../../jobs/email/email_jobs.ts";
import { postEmailJobs } from "../../jobs/email/post_email_jobs.ts";
import { Mailer } from "../../services/mail/sender.ts";
import { Secret } from "../../security/secret.ts";
import { startStorageChild } from "../children/start_storage.ts";
import type { StorageSpec } from "../../services/storage/open.ts";
import { isInUse } from "../../services/storage/file_store.ts";
import { startStatsChild } from "../children/start_stats.ts";
import { StatsClient } from "../../services/stats/client.ts";
import { roleMetrics, type RoleParts, running, type RunningRole } from "./role.ts";
import { startStorageServer } from "./storage.ts";
import type { JobNotifier } from "../../jobs/notifier.ts";
import type { JobKind } from "../../jobs/kind.ts";
import { CROP_ENTRY } from "../children/start_crop.ts";

/** What the services of a process need. They stop with `stack`. */
export interface ServiceParts {
  config: Config;
  log: Log;
  secret: Secret;
  sql: Sql;
  /** The same database, as reachable for child processes. */
  databaseUrl: string;
  stack: AsyncDisposableStack;
}

/** What the role `jobs` needs in addition. */
export interface JobParts extends ServiceParts {
  notifier: JobNotifier;
  storageSpec: StorageSpec;
  /** The public URL of the site; known once the node listens. */
  publicUrl: () => Promise<string>;
}

export function storageFolder({ DATA_DIR }: Config): string {
  return `${DATA_DIR}/storage`;
}

/** The token that authenticates callers of the storage service. */
export function storageToken(secret: Secret): string {
  return secret.mac("storage", "token");
}

/** `ROLES=storage`: the storage service of a full installation. */
export async function storageRole({ config, log, metrics }: RoleParts): Promise<RunningRole> {
  const { HOST, STORAGE_PORT, STORAGE_MAX_ENTRIES, SECRET_KEY, DATA_DIR } = config;
  await using stack = new AsyncDisposableStack();
  const token = storageToken(await Secret.load(SECRET_KEY, DATA_DIR));
  const folder = storageFolder(config);
  const server = stack.use(
    await startStorageServer({
      host: HOST,
      port: STORAGE_PORT,
      folder,
      maxEntries: STORAGE_MAX_ENTRIES,
      token,
      log,
      metrics: roleMetrics(config, metrics),
      accessLog: config.ACCESS_LOG,
    }),
  );
  return running(stack, `Rookery's storage is ready at http://${HOST}:${server.port}`);
}

type StorageParts = Omit<ServiceParts, "sql" | "databaseUrl">;

/** The storage of photos: S3, a separate storage service, or a child process. */
export async function photoStorage({ config, log, secret, stack }: StorageParts): Promise<StorageSpec> {
  if (config.S3_URL !== undefined) return { kind: "s3", url: config.S3_URL };
  const token = storageToken(secret);
  if (config.STORAGE_URL !== undefined) return { kind: "rest", url: config.STORAGE_URL, token };
  const child = stack.use(
    await startStorageChild({
      folder: storageFolder(config),
      port: config.STORAGE_PORT,
      maxEntries: config.STORAGE_MAX_ENTRIES,
      token,
      log,
    }),
  );
  await Deno.writeTextFile(addressFile(config), child.url);
  stack.defer(() => Deno.remove(addressFile(config)).catch(() => {}));
  return { kind: "rest", url: child.url, token };
}

/** The same for a task: the running server's service, or a child process if none runs. */
export async function runningStorage(parts: StorageParts): Promise<StorageSpec> {
  const { config, secret } = parts;
  const own = config.S3_URL === undefined && config.STORAGE_URL === undefined;
  // The token is sent only to the process that holds the folder's lock: at the address alone another program may
  // listen.
  if (!own || !await isInUse(storageFolder(config))) return await photoStorage(parts);
  return { kind: "rest", url: await Deno.readTextFile(addressFile(config)), token: storageToken(secret) };
}

/** Where the storage service of this folder listens while it runs. */
function addressFile({ DATA_DIR }: Config): string {
  return `${DATA_DIR}/storage.url`;
}

/** Sends emails through an SMTP server or the bundled one. */
export async function letters(
  { config, log, secret, sql, databaseUrl, stack, notifier, publicUrl }: JobParts,
): Promise<Record<string, JobKind>> {
  const bundled = config.SMTP_URL === undefined;
  const url = config.SMTP_URL ?? config.MAIL_URL ?? stack.use(
    await startMailChild({ log, port: config.MAIL_PORT, databaseUrl }),
  ).url;
  const mailer = stack.use(new Mailer({ url, from: config.MAIL_FROM }));
  const parts = { sql, mailer, bundled, log };
  const notifyJobs = (jobs: readonly JobRef[]) => notifier.notify(jobs);
  return {
    ...emailJobs({ ...parts, codeKey: secret.subkey("codes") }),
    ...postEmailJobs({ ...parts, secret, publicUrl, digestEveryMs: config.DIGEST_EVERY, notifyJobs }),
  };
}

/** The statistics: a separate service, or a child process, which starts once the API listens. */
export function statistics(
  { config, log, databaseUrl, stack, listening }: Omit<ServiceParts, "sql" | "secret"> & { listening: Promise<void> },
): StatsClient {
  if (config.STATS_URL !== undefined || !config.ROLES.includes("stats")) {
    return stack.use(new StatsClient(() => Promise.resolve(config.STATS_URL)));
  }
  // Not awaited: everything else works without statistics.
  const stopped = new AbortController();
  const child = listening.then(() =>
    startStatsChild({
      log,
      port: config.STATS_PORT,
      databaseUrl,
      ownDatabaseUrl: config.STATS_DATABASE_URL,
      natsUrl: config.NATS_URL,
      retryStart: stopped.signal,
    })
  );
  child.catch((error) => stopped.signal.aborted || log.error("starting the statistics service failed", { error }));
  stack.defer(async () => {
    stopped.abort();
    await (await child.catch(() => undefined))?.[Symbol.asyncDispose]();
  });
  return stack.use(new StatsClient(async () => (await child).url));
}

/** Crops photos in child processes, fed by the queue. */
export async function cropping(
  { config, log, sql, stack, notifier, storageSpec: storage }: JobParts,
): Promise<Record<string, JobKind>> {
  const { epoch } = await sequencerState(sql);
  const queue: JobQueue = stack.use(
    config.REDIS_URL ? new RedisJobQueue(config.REDIS_URL, { stream: `${CROP_QUEUES}${epoch}` }) : new LocalJobQueue(),
  );
  const children = Array.from(
    { length: config.CROP_PROCESSES },
    () => stack.use(new CropSupervisor({ entry: CROP_ENTRY, engine: config.IMAGE_ENGINE, storage, log })),
  );
  return imageCropJobs({ sql, queue, children, log, onResult: (job) => notifier.notify([job]) });
}
