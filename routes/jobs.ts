import { z } from "zod";
import { decodeTimeCursor, encodeCursor, listAbout } from "../contract/cursors.ts";
import { dropJob, jobState, listJobs, retryJob } from "../db/jobs.ts";
import { AppError } from "../lib/errors.ts";
import { answer, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import * as schemas from "../contract/schemas.ts";

const tags = ["Jobs"];
const params = z.object({ id: schemas.anyId });

/** Background jobs: emails, photos and expiries. */
export function jobRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/jobs",
    access: "admin",
    summary: "Jobs, newest first",
    tags,
    query: z.strictObject({
      ...paging,
      state: z.enum(["waiting", "running", "dead", "unknown"]).optional(),
      kind: z.string().min(1).max(64).optional(),
    }),
    answers: { 200: { description: "Jobs", schema: listOf(schemas.Job) } },
  }, async ({ ctx, query: { limit, cursor, state, kind } }) => {
    const list = listAbout("jobs", state, kind);
    const after = cursor === undefined ? undefined : decodeTimeCursor(list, cursor);
    const rows = await listJobs(ctx.sql, { limit: limit + 1, state, kind, after });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return answer(200, {
      items,
      next_cursor: rows.length > limit && last ? encodeCursor(list, [last.created_at, last.id]) : null,
    });
  });

  endpoint(api, {
    method: "post",
    path: "/jobs/{id}/retry",
    access: "admin",
    summary: "Retry a dead job; an unknown one cannot be retried, because nothing may be sent twice",
    tags,
    params,
    answers: { 200: { description: "The job, which is waiting again", schema: schemas.Job } },
  }, async ({ ctx, params: { id } }) => {
    const job = await retryJob(ctx.sql, id);
    if (!job) {
      const state = await jobState(ctx.sql, id);
      if (!state) throw new AppError("not-found", `No job has the id "${id}"`);
      throw new AppError("nothing-to-retry", `Expected a dead job, got one that is ${state}`);
    }
    ctx.notifyJobs([job]);
    return answer(200, job);
  });

  endpoint(api, {
    method: "delete",
    path: "/jobs/{id}",
    access: "admin",
    summary: "Delete a dead or unknown job",
    tags,
    params,
    answers: { 204: { description: "Deleted" } },
  }, async ({ ctx, params: { id } }) => {
    if (!await dropJob(ctx.sql, id)) throw new AppError("not-found", `No dead or unknown job has the id "${id}"`);
    return answer(204);
  });
}
