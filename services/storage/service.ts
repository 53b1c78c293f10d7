/** The storage over REST, for callers with the token. */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Context, Hono } from "hono";
import { measureRoutes, metricsRoute } from "../../lib/http/measured.ts";
import type { MetricsEndpoint } from "../../lib/http/metrics_endpoint.ts";
import type { Log } from "../../lib/log.ts";
import { IdleTimeout } from "../../lib/idle_timeout.ts";
import { parseRange } from "./range.ts";
import {
  checkSize,
  isKey,
  MAX_LISTED,
  type ReadObject,
  type Storage,
  StorageError,
  type StorageErrorKind,
  type StoredObject,
} from "./storage.ts";

/** A sender without data for this time is aborted, as it holds one of few places for writing. */
const STALL_MS = 30_000;
const STATUS: Record<StorageErrorKind, number> = {
  "refused": 400,
  "too-large": 413,
  "range": 416,
  "fault": 500,
  "unavailable": 503,
};
const TITLES: Record<number, string> = {
  400: "The request is invalid",
  401: "The token is missing or invalid",
  404: "Not found",
  405: "Method not allowed",
  413: "The object is too large",
  416: "The range contains no byte of the object",
  500: "Internal server error",
  503: "The storage is unavailable",
};

/** `metrics`: missing if they are elsewhere. */
export function storageService(store: Storage, token: string, log: Log, metrics?: MetricsEndpoint): Hono {
  const app = new Hono();
  const expected = digest(`Bearer ${token}`);

  measureRoutes(app);
  metricsRoute(app, metrics);
  app.get("/healthz", (c) => c.json({ status: "ok" }));

  app.use(async (c, next) => {
    if (timingSafeEqual(digest(c.req.header("authorization") ?? ""), expected)) return await next();
    void c.req.raw.body?.cancel().catch(() => {});
    return problem(401, undefined, { "www-authenticate": "Bearer" });
  });

  app.get("/objects", async (c) => {
    const { after, limit = "100" } = c.req.query();
    if (after !== undefined && !isKey(after)) return problem(400, "Expected the key of an object as after");
    if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_LISTED) {
      return problem(400, `Expected a number from 1 to ${MAX_LISTED} as limit`);
    }
    return c.json({ items: await store.list({ limit: Number(limit), ...(after === undefined ? {} : { after }) }) });
  });

  app.put("/objects/*", async (c) => {
    const key = keyOf(c);
    checkSize(Number(c.req.header("content-length") ?? 0));
    const existed = await store.head(key) !== undefined;
    using idleTimeout = new IdleTimeout(STALL_MS, "The sender timed out");
    const body = c.req.raw.body === null ? new Uint8Array() : touching(c.req.raw.body, idleTimeout);
    const object = await store.put(key, body, { signal: idleTimeout.signal });
    return Response.json(object, { status: existed ? 200 : 201, headers: { etag: quote(object) } });
  });

  app.get("/objects/*", async (c) => {
    const key = keyOf(c);
    if (c.req.method === "HEAD") {
      const object = await store.head(key);
      return object ? new Response(null, { headers: describe(object, object.size) }) : problem(404);
    }
    const known = c.req.header("if-none-match");
    if (known !== undefined) {
      const object = await store.head(key);
      if (object && matches(known, object)) {
        return new Response(null, { status: 304, headers: { etag: quote(object) } });
      }
    }
    const read = await store.get(key, parseRange(c.req.header("range")));
    return read ? answer(read) : problem(404);
  });

  app.delete("/objects/*", async (c) => {
    await store.delete(keyOf(c));
    return new Response(null, { status: 204 });
  });

  app.all("/objects/*", () => problem(405, undefined, { allow: "GET, HEAD, PUT, DELETE" }));
  app.notFound(() => problem(404, "No endpoint has this path"));
  app.onError((error, c) => {
    const kind = error instanceof StorageError ? error.kind : "fault";
    const cause = error instanceof StorageError ? error.cause : undefined;
    if (kind === "fault") log.error("request failed", { error, cause, method: c.req.method, path: c.req.path });
    if (kind === "unavailable") log.warnOften("request refused, storage unavailable", {}, { error, cause });
    return problem(STATUS[kind], kind === "fault" ? undefined : error.message);
  });
  return app;
}

/** Each chunk restarts the timeout. */
function touching(body: ReadableStream<Uint8Array>, idleTimeout: IdleTimeout): ReadableStream<Uint8Array> {
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        idleTimeout.touch();
        controller.enqueue(chunk);
      },
    }),
  );
}

/** Throws for an invalid key, in any spelling. */
function keyOf(c: Context): string {
  const key = c.req.path.slice("/objects/".length);
  if (isKey(key)) return key;
  void c.req.raw.body?.cancel().catch(() => {});
  throw new StorageError("refused", "Expected a key after /objects/");
}

function answer({ object, body, range }: ReadObject): Response {
  const headers = describe(object, range ? range.end - range.start + 1 : object.size);
  if (!range) return new Response(body, { headers });
  headers["content-range"] = `bytes ${range.start}-${range.end}/${object.size}`;
  return new Response(body, { status: 206, headers });
}

function describe(object: StoredObject, length: number): Record<string, string> {
  return {
    "content-type": "application/octet-stream",
    "content-length": String(length),
    "accept-ranges": "bytes",
    "etag": quote(object),
    "stored-at": object.stored_at,
  };
}

/** `If-None-Match` uses the weak comparison (RFC 9110 §13.1.2). */
function matches(header: string, object: StoredObject): boolean {
  return header.trim() === "*" || header.split(",").some((each) => each.trim().replace(/^W\//, "") === quote(object));
}

function quote({ etag }: StoredObject): string {
  return `"${etag}"`;
}

/** Hashes give both sides of a constant-time comparison the same length. */
function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

function problem(status: number, detail?: string, headers: Record<string, string> = {}): Response {
  const body = { type: "about:blank", status, title: TITLES[status], ...(detail === undefined ? {} : { detail }) };
  return Response.json(body, { status, headers: { "content-type": "application/problem+json", ...headers } });
}
