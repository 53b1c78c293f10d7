import { resolve } from "node:path";
import { LocalBus } from "../actors/runtime/local_bus.ts";
import { NatsBus } from "../actors/runtime/nats_bus.ts";
import type { Config } from "../config.ts";
import { sequencerState } from "../db/events.ts";
import { migrate } from "../db/migrate.ts";
import { connectPostgres } from "../db/postgres.ts";
import type { Log } from "../log.ts";
import { Secret } from "../security/secret.ts";
import { openStorage } from "../storage/open.ts";
import { JobDoorbell } from "./doorbell.ts";
import { FileSweeper } from "./file_sweeper.ts";
import { JobRunner } from "./job_runner.ts";
import { cropping, letters, photoStorage } from "./services.ts";

const CONNECTIONS = 6;

/** `ROLES=jobs`: letters, crops and the sweeping of files, without any actor; until told to stop. */
export async function runJobs(config: Config, log: Log, stopped: Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const sql = stack.use(connectPostgres(config.DATABASE_URL!, { max: CONNECTIONS, applicationName: "rookery-jobs" }));
  await migrate(sql);
  const secret = await Secret.load(config.SECRET_KEY, resolve(config.DATA_DIR));
  const bus = stack.use(config.NATS_URL ? new NatsBus(config.NATS_URL, { log }) : new LocalBus({ log }));
  const bell = await JobDoorbell.open(bus, (await sequencerState(sql)).epoch);
  const parts = { config, log, secret, sql, stack };
  const spec = await photoStorage(parts);
  const storage = stack.use(openStorage(spec));
  const crop = await cropping({ ...parts, storage: spec, onSettled: () => bell.ring() });
  const jobs = stack.use(new JobRunner(sql, await letters(parts), log));
  stack.use(new FileSweeper(sql, storage, log));
  bell.onRing(() => {
    crop.wake();
    jobs.wake();
  });
  Deno.stdout.writeSync(new TextEncoder().encode("Rookery's jobs are ready\n"));
  await stopped;
}
