import { z } from "zod";
import type { AppContext } from "../context.ts";
import { decodeTimeCursor, encodeCursor } from "../contract/cursors.ts";
import {
  closeReport,
  type HandledReportRow,
  listReports,
  makeReport,
  MAX_WAITING,
  OUTCOMES,
  releaseReport,
  REPORT_STATES,
  reportById,
  REPORTED,
  type Reported,
  type ReportRow,
  takeReport,
} from "../db/reports.ts";
import { userById } from "../db/users.ts";
import { AppError } from "../lib/errors.ts";
import { renderCard } from "../contract/render.ts";
import { newId } from "../lib/ids.ts";
import type { Caller } from "../actors/account_cache.ts";
import { answer, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import { openPage } from "./pages.ts";
import { visiblePost } from "./posts.ts";
import * as schemas from "../contract/schemas.ts";
import { shownText } from "../contract/text_rules.ts";

const tags = ["Reports"];
const params = z.object({ id: schemas.id });
/** Characters of a post's text that serve as its name in the queue. */
const NAME_LENGTH = 80;

/** Reports by users and their queue for staff. */
export function reportRoutes(api: Api): void {
  newReportRoute(api);
  reportListRoute(api);
  reportHandlingRoutes(api);
}

function newReportRoute(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/reports",
    access: "verified",
    summary: "Report a visible post, page or account",
    tags,
    limit: "reports",
    creates: true,
    body: z.strictObject({
      target: z.strictObject({ kind: z.enum(REPORTED), id: schemas.id }),
      reason: shownText({ max: 1_000, lines: "many" }),
    }),
    answers: {
      201: { description: "The report", schema: schemas.Report },
      200: { description: "An earlier open report by the caller on the same target", schema: schemas.Report },
    },
  }, async ({ ctx, caller, body: { target, reason }, receipt }) => {
    const made = await makeReport(ctx.sql, {
      id: receipt?.id ?? newId(),
      reporter: caller.id,
      reason,
      target: await reported(ctx, caller, target),
    });
    if (!made) {
      throw new AppError(
        "too-many-reports",
        `At most ${MAX_WAITING} of your reports can be open; wait until one is closed`,
      );
    }
    return answer(made.made ? 201 : 200, renderReport(made));
  });
}

function reportListRoute(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/reports",
    access: "staff",
    summary: "Reports: open ones oldest first, closed ones latest first",
    tags,
    query: z.strictObject({ ...paging, state: z.enum(REPORT_STATES).default("open") }),
    answers: { 200: { description: "Reports", schema: listOf(schemas.HandledReport) } },
  }, async ({ ctx, query: { limit, cursor, state } }) => {
    const after = cursor === undefined ? undefined : decodeTimeCursor(`reports.${state}`, cursor);
    const rows = await listReports(ctx.sql, { state, limit: limit + 1, after });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return answer(200, {
      items: items.map(renderHandled),
      next_cursor: rows.length > limit && last ? encodeCursor(`reports.${state}`, [last.cursor_at, last.id]) : null,
    });
  });
}

function reportHandlingRoutes(api: Api): void {
  endpoint(
    api,
    {
      method: "post",
      path: "/reports/{id}/take",
      access: "staff",
      summary: "Take a report from the queue",
      tags,
      params,
      answers: { 200: { description: "The report", schema: schemas.HandledReport } },
    },
    ({ ctx, caller, params: { id } }) =>
      handle(
        ctx,
        caller,
        id,
        () => takeReport(ctx.sql, id, caller),
        (report) => report.state === "taken" && report.handler_id === caller.id,
      ),
  );

  endpoint(
    api,
    {
      method: "delete",
      path: "/reports/{id}/take",
      access: "staff",
      summary: "Release a report to the queue",
      tags,
      params,
      answers: { 200: { description: "The report", schema: schemas.HandledReport } },
    },
    ({ ctx, caller, params: { id } }) =>
      handle(ctx, caller, id, () => releaseReport(ctx.sql, id, caller), (report) => report.state === "open"),
  );

  endpoint(
    api,
    {
      method: "post",
      path: "/reports/{id}/close",
      access: "staff",
      summary: "Close a report with its outcome",
      tags,
      params,
      body: z.strictObject({ outcome: z.enum(OUTCOMES), note: schemas.reason.nullish() }),
      answers: { 200: { description: "The report", schema: schemas.HandledReport } },
    },
    ({ ctx, caller, params: { id }, body: { outcome, note = null } }) =>
      handle(ctx, caller, id, () => closeReport(ctx.sql, id, caller, { outcome, note }), () => false),
  );
}

/** The reported target, if the caller may see it. */
async function reported(
  ctx: AppContext,
  caller: Caller,
  { kind, id }: { kind: Reported["kind"]; id: string },
): Promise<Reported> {
  if (kind === "page") {
    const { uuid, owner } = await openPage(ctx, caller, id);
    return { kind, id, name: uuid, owner_id: owner.id };
  }
  if (kind === "post") {
    const { text, page_uuid, author } = await visiblePost(ctx, caller, id);
    return { kind, id, name: `${page_uuid}: ${[...text].slice(0, NAME_LENGTH).join("")}`, owner_id: author.id };
  }
  const account = await userById(ctx.sql, id);
  if (!account) throw new AppError("not-found", `No account has the id "${id}"`);
  return { kind, id, name: account.login, owner_id: id };
}

/**
 * Changes a report and returns its new state. If nothing changed, `isSo` tells whether it already had that state;
 * otherwise its state explains the conflict.
 */
async function handle(
  ctx: AppContext,
  caller: Caller,
  id: string,
  change: () => Promise<boolean>,
  isSo: (report: HandledReportRow) => boolean,
) {
  const before = await reportById(ctx.sql, id);
  if (!before) throw new AppError("not-found", `No report has the id "${id}"`);
  judge(caller, before);
  const changed = await change();
  const report = await reportById(ctx.sql, id);
  if (!report) throw new AppError("not-found", `No report has the id "${id}"`);
  if (changed || isSo(report)) return answer(200, renderHandled(report));
  if (report.state === "closed") throw new AppError("report-closed");
  throw new AppError("report-taken");
}

/**
 * Moderators may not handle reports about themselves or about higher staff. Administrators may handle all; this is
 * recorded.
 */
function judge({ id, role }: Caller, { owner_id, owner_role, target_kind }: HandledReportRow): void {
  if (role === "admin") return;
  if (owner_id === id) throw new AppError("forbidden", "You cannot handle a report about yourself");
  if (target_kind === "account" && owner_role === "admin") {
    throw new AppError("forbidden", "Only administrators can handle a report about an administrator");
  }
}

function renderReport(report: ReportRow): Record<string, unknown> {
  const { id, target_kind: kind, target_id, target_name: name, reason, state, created_at } = report;
  return { id, target: { kind, id: target_id, name }, reason, state, created_at };
}

function renderHandled(report: HandledReportRow): Record<string, unknown> {
  const { gone, reporter, handler, outcome, note, changed_at } = report;
  const { target, ...rest } = renderReport(report);
  return {
    ...rest,
    target: { ...target as object, gone },
    reporter: reporter && renderCard(reporter),
    handler: handler && renderCard(handler),
    outcome,
    note,
    changed_at,
  };
}
