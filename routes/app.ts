import { Hono } from "hono";
import type { AppContext } from "../context.ts";
import { AppError } from "../errors.ts";
import { avatarRoutes } from "./avatars.ts";
import { docsRoutes } from "./docs.ts";
import { feedRoutes } from "./feed.ts";
import { followingRoutes } from "./following.ts";
import { addressOf, type Api, newRequestId } from "./http/endpoint.ts";
import { Idempotency } from "./http/idempotency.ts";
import { problem } from "./http/problem.ts";
import { RateLimiter } from "./http/rate_limit.ts";
import { Uploads } from "./http/uploads.ts";
import { jobRoutes } from "./jobs.ts";
import { liveRoute } from "./live.ts";
import { mailRoutes } from "./mail.ts";
import { moderationRoutes } from "./moderation.ts";
import { notificationRoutes } from "./notifications.ts";
import { openApiDocument } from "./openapi.ts";
import { pageRoutes } from "./pages.ts";
import { photoRoutes } from "./photos.ts";
import { postRoutes } from "./posts.ts";
import { reportRoutes } from "./reports.ts";
import { securityRoutes } from "./security.ts";
import { systemRoutes } from "./system.ts";
import { userRoutes } from "./users.ts";

/** The whole HTTP surface. `app.fetch(request, { address })` serves it. */
export function buildApi(ctx: AppContext): Api {
  const api: Api = {
    app: new Hono(),
    ctx,
    limiter: new RateLimiter(ctx.cache, ctx.config.RATE_LIMITS),
    idempotency: new Idempotency(ctx.sql, ctx.secret),
    uploads: new Uploads(ctx.photos.staging),
    endpoints: [],
    stats: { requests: {}, underWay: 0 },
  };
  for (
    const routes of [
      userRoutes,
      securityRoutes,
      pageRoutes,
      avatarRoutes,
      followingRoutes,
      postRoutes,
      photoRoutes,
      feedRoutes,
      notificationRoutes,
      mailRoutes,
      jobRoutes,
      moderationRoutes,
      reportRoutes,
    ]
  ) {
    routes(api);
  }
  liveRoute(api);
  systemRoutes(api);
  const document = JSON.stringify(openApiDocument(api));
  docsRoutes(api, document);

  const place = (path: string) => ({
    instance: path,
    requestId: newRequestId(),
    publicUrl: ctx.config.PUBLIC_URL ?? "",
    log: ctx.log,
  });
  const { app } = api;
  app.notFound(async (c) => {
    try {
      await api.limiter.check("general_address", addressOf(c));
      // A path that other methods know is 405, not 404 (RFC 9110 §15.5.6).
      const others = allowed(api, c.req.path);
      if (others.length === 0) throw new AppError("not-found", "There is nothing at this address");
      if (c.req.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow: others.join(", ") } });
      const response = problem(
        new AppError("method-not-allowed", `Expected ${others.join(" or ")}, got ${c.req.method}`),
        place(c.req.path),
      );
      response.headers.set("allow", others.join(", "));
      return response;
    } catch (error) {
      return problem(error, place(c.req.path));
    }
  });
  app.onError((error, c) => problem(error, place(c.req.path)));
  return api;
}

function allowed({ app }: Api, path: string): string[] {
  const methods = new Set(
    ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((method) => app.router.match(method, path)[0].length > 0),
  );
  return [...methods];
}
