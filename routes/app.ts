import { Hono } from "hono";
import type { AppContext, ServiceContext } from "../context.ts";
import { AppError } from "../lib/errors.ts";
import { avatarRoutes } from "./avatars.ts";
import { asyncApiDocument } from "./asyncapi.ts";
import { docsRoutes, documentRoute } from "./docs.ts";
import { feedRoutes } from "./feed.ts";
import { followingRoutes } from "./following.ts";
import { addressOf, type Api } from "./http/endpoint.ts";
import { currentRequestId } from "../lib/request_context.ts";
import { longRequests } from "./http/long_requests.ts";
import { Guesses } from "./http/guesses.ts";
import { answerHeads, isHead } from "./http/head.ts";
import { Idempotency } from "./http/idempotency.ts";
import { problem } from "../contract/problem.ts";
import { RateLimiter } from "./http/rate_limit.ts";
import { PathRouter } from "./http/router.ts";
import { Uploads } from "./http/uploads.ts";
import { WaitingBodies } from "../contract/waiting_bodies.ts";
import { jobRoutes } from "./jobs.ts";
import { kvRoutes } from "./kv.ts";
import { likeRoutes } from "./likes.ts";
import { forwardKv } from "./kv_forward.ts";
import { liveRoute } from "./live.ts";
import { mailRoutes } from "./mail.ts";
import { moderationRoutes } from "./moderation.ts";
import { nodeCallRoute } from "./node_calls.ts";
import { nodeRoutes } from "./nodes.ts";
import { notificationRoutes } from "./notifications.ts";
import { openApiDocument } from "./openapi.ts";
import { pageRoutes } from "./pages.ts";
import { photoRoutes } from "./photos.ts";
import { postRoutes } from "./posts.ts";
import { searchRoutes } from "./search.ts";
import { reportRoutes } from "./reports.ts";
import { securityRoutes } from "./security.ts";
import { statsRoutes } from "./stats.ts";
import { serviceRoutes, systemRoutes } from "./system.ts";
import { unsubscribePage } from "./unsubscribe.ts";
import { userRoutes } from "./users.ts";
import { vkRoutes } from "./vk.ts";

/** Long JSON bodies in memory at once, in total and per account. Other requests wait (`docs/limits.md`). */
const LONG_CONCURRENCY = 16;
const LONG_EACH = 4;
const LONG_WAITING = 100;
const LONG_WAIT_MS = 20_000;

/** The whole HTTP API. `app.fetch(request, { address })` serves it. */
export function buildApi(ctx: AppContext): Api {
  const api: Api = { ...emptyApi(ctx), uploads: new Uploads(ctx.photos.staging), deliveryBarrier: ctx.deliveryBarrier };
  const hasKv = ctx.config.ROLES.includes("kv");
  if (!hasKv) forwardKv(api);
  for (
    const routes of [
      userRoutes,
      securityRoutes,
      pageRoutes,
      avatarRoutes,
      statsRoutes,
      followingRoutes,
      postRoutes,
      likeRoutes,
      photoRoutes,
      feedRoutes,
      notificationRoutes,
      searchRoutes,
      // Forwarded routes are declared for the document only.
      (api: Api) => kvRoutes(hasKv ? api : { ...api, app: new Hono() }),
      mailRoutes,
      jobRoutes,
      nodeRoutes,
      vkRoutes,
      moderationRoutes,
      reportRoutes,
    ]
  ) {
    routes(api);
  }
  liveRoute(api);
  systemRoutes(api);
  nodeCallRoute(api);
  unsubscribePage(api);
  const document = JSON.stringify(openApiDocument(api));
  docsRoutes(api, document);
  documentRoute(api.app, "/asyncapi.json", JSON.stringify(asyncApiDocument(api.ctx.config)));
  answerTheRest(api);
  return api;
}

/** The key–value store alone, for a process without anything else. */
export function buildKvApi(ctx: ServiceContext): Api<ServiceContext> {
  const api = emptyApi(ctx);
  kvRoutes(api);
  serviceRoutes(api);
  answerTheRest(api);
  return api;
}

function emptyApi<C extends ServiceContext>(ctx: C): Api<C> {
  const limiter = new RateLimiter(ctx.cache, ctx.config.RATE_LIMITS);
  const stats = { underWay: 0, lastAt: -Infinity };
  return {
    app: answerHeads(new Hono({ router: new PathRouter() })),
    ctx,
    limiter,
    guesses: new Guesses(limiter),
    idempotency: new Idempotency(ctx.sql, ctx.secret),
    bodies: new WaitingBodies(stats),
    longBodies: longRequests({
      concurrency: LONG_CONCURRENCY,
      perKey: LONG_EACH,
      maxWaiting: LONG_WAITING,
      waitMs: LONG_WAIT_MS,
    }),
    endpoints: [],
    stats,
  };
}

/** Problems for paths without a route. */
function answerTheRest(api: Pick<Api<ServiceContext>, "app" | "ctx" | "limiter">): void {
  const { app, ctx } = api;
  const place = (path: string) => ({
    instance: path,
    requestId: currentRequestId(),
    publicUrl: ctx.config.PUBLIC_URL ?? "",
    log: ctx.log,
  });
  app.notFound(async (c) => {
    try {
      await api.limiter.check("general_address", addressOf(c));
      // A path with other methods is 405, not 404 (RFC 9110 §15.5.6).
      const others = allowed(api, c.req.path);
      if (others.length === 0 || others.includes(c.req.method)) {
        throw new AppError("not-found", "No endpoint has this path");
      }
      const allow = [...others.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : method), "OPTIONS"].join(", ");
      if (c.req.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
      const response = problem(
        new AppError(
          "method-not-allowed",
          `Expected ${others.join(" or ")}, got ${isHead(c.req.raw) ? "HEAD" : c.req.method}`,
        ),
        place(c.req.path),
      );
      response.headers.set("allow", allow);
      return response;
    } catch (error) {
      return problem(error, place(c.req.path));
    }
  });
  app.onError((error, c) => problem(error, place(c.req.path)));
}

function allowed({ app }: Pick<Api, "app">, path: string): string[] {
  const methods = new Set(
    ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((method) => app.router.match(method, path)[0].length > 0),
  );
  return [...methods];
}
