import { resolve } from "node:path";
import type { SequencedEvent } from "../../db/event.ts";
import { sequencerState } from "../../db/events.ts";
import { publish, subjectOf } from "../../live/publisher.ts";
import { Secret } from "../../security/secret.ts";
import { LoggedStorage } from "../../services/storage/logged_storage.ts";
import { openStorage } from "../../services/storage/open.ts";
import { jobSamples } from "../../jobs/metrics.ts";
import { JobNotifier } from "../../jobs/notifier.ts";
import { startJobs } from "./jobs.ts";
import { ANSWER_MS } from "../../db/postgres.ts";
import { openBus } from "./bus.ts";
import { openDatabase, type RoleParts, running, type RunningRole } from "./role.ts";
import { photoStorage } from "./services.ts";

const CONNECTIONS = 6;

/** `ROLES=jobs`: the role alone, without actors of people and pages. */
export async function jobsRole({ config, log, metrics }: RoleParts): Promise<RunningRole> {
  await using stack = new AsyncDisposableStack();
  const databaseUrl = config.DATABASE_URL!;
  const sql = await openDatabase({ log, stack }, databaseUrl, {
    max: CONNECTIONS,
    applicationName: "rookery-jobs",
    answerWithinMs: ANSWER_MS,
  });
  const secret = await Secret.load(config.SECRET_KEY, resolve(config.DATA_DIR));
  const bus = stack.use(openBus(config.NATS_URL, secret, log));
  const { epoch } = await sequencerState(sql);
  const notifier = stack.use(new JobNotifier(bus, epoch, log));
  const parts = {
    config,
    log,
    secret,
    sql,
    databaseUrl,
    stack,
    notifier,
    publicUrl: () => Promise.resolve(config.PUBLIC_URL!),
  };
  const storageSpec = await photoStorage(parts);
  const storage = stack.use(new LoggedStorage(openStorage(storageSpec), log));
  const { heard } = await startJobs({
    ...parts,
    storageSpec,
    storage,
    onCommitted: (events) => publish(bus, epoch, events),
  });
  metrics.add(async () => [await jobSamples(sql)]);
  await bus.subscribe(subjectOf(epoch), (message) => heard(JSON.parse(message) as SequencedEvent[]));
  return running(stack, "Rookery's jobs are ready");
}
