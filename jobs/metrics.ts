import { countJobs, type JobState } from "../db/jobs.ts";
import type { Reader } from "../db/sql.ts";
import { byLabel, sampled, type Samples } from "../lib/metrics/samples.ts";

const NONE: Record<JobState, number> = { waiting: 0, running: 0, dead: 0, unknown: 0 };

/** The jobs in the database, whichever process runs them. */
export async function jobSamples(sql: Reader): Promise<Samples> {
  return [sampled("gauge", "jobs", "Jobs by state", byLabel("state", { ...NONE, ...await countJobs(sql) }))];
}
