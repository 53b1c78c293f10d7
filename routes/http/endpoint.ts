import type { Context, Hono } from "hono";
import { z } from "zod";
import type { AppContext, ServiceContext } from "../../context.ts";
import { AppError } from "../../lib/errors.ts";
import type { Origin } from "../../security/addresses.ts";
import type { Caller } from "../../actors/account_cache.ts";
import type { DeliveryBarrier } from "../../live/delivery_barrier.ts";
import { authenticate } from "./authenticate.ts";
import { MAX_BODY_BYTES, parseJson, readJsonText, refuseEncoded, storable, validated } from "../../contract/body.ts";
import { etagOf, matches } from "./etag.ts";
import type { Semaphore } from "../../lib/semaphore.ts";
import type { Guesses } from "./guesses.ts";
import { type Idempotency, validKey } from "./idempotency.ts";
import { problem } from "../../contract/problem.ts";
import { NO_QUERY, queried } from "./query.ts";
import { type LimitName, RateLimited, type RateLimiter, type RateState } from "./rate_limit.ts";
import { recordRequest } from "./request_metrics.ts";
import { type Received, type UploadRules, Uploads } from "./uploads.ts";
import type { WaitingBodies } from "../../contract/waiting_bodies.ts";
import { currentRequestId } from "../../lib/request_context.ts";

/**
 * Who may call. `optional` knows the caller if there is one; `verified` also needs a verified email; `staff` are
 * moderators and administrators.
 */
export type Access = "anyone" | "optional" | "signed-in" | "verified" | "staff" | "admin";

type Params = z.ZodObject;
type CallerOf<A extends Access> = A extends "anyone" ? undefined : A extends "optional" ? Caller | undefined : Caller;

export interface Definition<A extends Access, P extends Params, Q extends Params, B extends z.ZodType, C = AppContext> {
  method: "get" | "post" | "put" | "patch" | "delete";
  /** As in OpenAPI: `/pages/{id}/posts`, under `/api/v1`. */
  path: string;
  access: A;
  summary: string;
  tags: string[];
  /** A mismatch is 404. */
  params?: P;
  query?: Q;
  body?: B;
  /** Bytes. */
  bodyBound?: number;
  /** Replaces `JSON.parse` if the raw text is needed. Throws an `AppError`. */
  parse?: (text: string) => unknown;
  /** The body may have photos, also as multipart/form-data. */
  uploads?: UploadRules;
  /**
   * Called before a long body is read, so that callers without permission get an answer early. Throws an `AppError`.
   */
  before?: (input: { ctx: C; caller: CallerOf<A>; params: z.output<P> }) => Promise<void>;
  /** Pictures are requested in large numbers, so they do not count towards the account's general limit. */
  pictures?: boolean;
  /** In addition to the general limits. */
  limit?: LimitName;
  /** For requests that try a secret: the name of the account. Undefined if this request tries none. */
  guesses?: (
    input: { caller: CallerOf<A>; params: z.output<P>; body: z.output<B> },
  ) => string | undefined;
  /** Accepts an `Idempotency-Key`. */
  creates?: boolean;
  /** Hides content: the answer waits until no live listener receives it any more. A dry run does not wait. */
  hides?: boolean;
  /** A GET with an ETag. */
  etag?: boolean;
  /** Statuses of problems in addition to the usual ones. */
  problems?: number[];
  /** `binary`: content types of answers that are not JSON. */
  answers: Record<number, { description: string; schema?: z.ZodType; binary?: string[] }>;
}

export interface Input<A extends Access, P, Q, B, C = AppContext> {
  ctx: C;
  caller: CallerOf<A>;
  params: P;
  query: Q;
  body: B;
  request: Request;
  /** The client's address, by which callers without an account are counted. */
  address: string;
  /** Whether clients reach this server over TLS. */
  secure: boolean;
  /** With an Idempotency-Key: the receipt to commit with. `result` is set if the effect has happened before. */
  receipt: { id: string; result?: unknown } | undefined;
  /** With `uploads`: the received body. */
  received: Received | undefined;
}

export interface Answer {
  status: number;
  /** JSON to send, serialised or not. */
  body?: unknown;
  json?: string;
  /** Bytes to send; type and caching are in `headers`. */
  stream?: ReadableStream<Uint8Array> | null;
  headers?: Record<string, string>;
  next_cursor?: string | null;
  /** With `guesses`: the secret belonged to another account, so earlier wrong guesses still count. */
  otherSecret?: boolean;
}

/** What all endpoints share. */
export interface Api<C extends ServiceContext = AppContext> {
  app: Hono;
  ctx: C;
  limiter: RateLimiter;
  guesses: Guesses;
  idempotency: Idempotency;
  /** Requests that wait for a short body. */
  bodies: WaitingBodies;
  /** Places for long bodies, which are held in memory. */
  longBodies: Semaphore;
  /** Missing if no endpoint accepts uploads. */
  uploads?: Uploads;
  /** Missing if no endpoint hides content. */
  deliveryBarrier?: DeliveryBarrier;
  /** All declarations, for the OpenAPI document and for tests. */
  endpoints: Definition<Access, Params, Params, z.ZodType, C>[];
  /** Requests in progress, except those that wait for a short body. */
  stats: { underWay: number };
}

/** Concurrent requests. Beyond this a new one is rejected at once (`docs/limits.md`). */
const MAX_CONCURRENT_REQUESTS = 4_000;
export const PREFIX = "/api/v1";

export function answer(status: number, body?: unknown, headers?: Record<string, string>): Answer {
  return { status, body, ...(headers && { headers }) };
}

export function answerText(status: number, json: string, next_cursor: string | null): Answer {
  return { status, json, next_cursor };
}

export function listOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next_cursor: z.string().nullable() });
}

/** Declares a route. There is no other way, so every route declares its access. */
export function endpoint<
  A extends Access,
  P extends Params = z.ZodObject<Record<never, never>>,
  Q extends Params = z.ZodObject<Record<never, never>>,
  B extends z.ZodType = z.ZodUndefined,
  C extends ServiceContext = AppContext,
>(
  api: Api<C>,
  definition: Definition<A, P, Q, B, C>,
  handler: (input: Input<A, z.output<P>, z.output<Q>, z.output<B>, C>) => Promise<Answer> | Answer,
): void {
  if (definition.hides && !api.deliveryBarrier) {
    throw new Error(`${definition.path} hides content, but there is no delivery barrier`);
  }
  api.endpoints.push(definition as unknown as Api<C>["endpoints"][number]);
  const path = PREFIX + definition.path.replaceAll(/\{(\w+)\}/g, ":$1");
  api.app.on(definition.method.toUpperCase(), path, (c) => serve(api, definition, handler, c));
}

async function serve<
  A extends Access,
  P extends Params,
  Q extends Params,
  B extends z.ZodType,
  C extends ServiceContext,
>(
  api: Api<C>,
  definition: Definition<A, P, Q, B, C>,
  handler: (input: Input<A, z.output<P>, z.output<Q>, z.output<B>, C>) => Promise<Answer> | Answer,
  c: Context,
): Promise<Response> {
  const { ctx, stats } = api;
  const start = performance.now();
  const requestId = currentRequestId();
  const request = c.req.raw;
  let response: Response;
  let rate: RateState | undefined;
  let received: Received | undefined;
  let place: Disposable | undefined;
  stats.underWay++;
  try {
    if (ctx.draining) throw new AppError("draining", undefined, { retryAfter: 1 });
    if (stats.underWay > MAX_CONCURRENT_REQUESTS) throw new AppError("overloaded", undefined, { retryAfter: 1 });
    const { address, secure } = originOf(c);
    rate = await api.limiter.check("general_address", address);
    const caller = await callerOf(ctx, definition, request);
    if (caller && !definition.pictures) rate = await api.limiter.check("general_account", caller.id) ?? rate;
    const params = definition.params ? matched(definition.params, c.req.param()) : {};
    const query = queried(definition.query ?? NO_QUERY, c.req.url);
    if (definition.body) refuseEncoded(request);
    if (definition.before && Uploads.heavy(request)) {
      await definition.before({ ctx, caller: caller as CallerOf<A>, params: params as z.output<P> });
    }
    const wait = { bodies: api.bodies, address };
    received = definition.uploads &&
      await api.uploads!.receive(request, definition.uploads, caller?.id ?? address, wait);
    const long = definition.bodyBound !== undefined && definition.bodyBound > MAX_BODY_BYTES && Uploads.heavy(request);
    if (long) place = await api.longBodies.acquire({ key: caller?.id ?? address });
    const text = definition.body && !received ? await readJsonText(request, wait, definition.bodyBound) : "";
    // Others may have taken the places while the body was read.
    if (stats.underWay > MAX_CONCURRENT_REQUESTS) throw new AppError("overloaded", undefined, { retryAfter: 1 });
    const parsed = definition.body && !received ? (definition.parse ?? parseJson)(text) : undefined;
    if (definition.limit) {
      rate = await api.limiter.check(definition.limit, caller ? `account ${caller.id}` : `address ${address}`) ?? rate;
    }
    const body = definition.body ? validated(definition.body, received ? received.value : parsed) : undefined;
    const input = {
      ctx,
      caller,
      params,
      query,
      body,
      request,
      address,
      secure,
      receipt: undefined,
      received,
    } as unknown as Input<
      A,
      z.output<P>,
      z.output<Q>,
      z.output<B>,
      C
    >;
    const key = definition.creates ? request.headers.get("idempotency-key") : null;
    const bodyMac = key === null ? "" : ctx.secret.mac(
      "idempotency",
      `${definition.method} ${canonicalPath(c.req.path)}\n${received?.content ?? text}`,
    );
    // Photos are in storage now, so their text is released.
    if (received) received.value = received.content = "";
    const name = definition.guesses?.(input);
    const judged: typeof handler = name === undefined
      ? handler
      : (input) => api.guesses.judge({ name, address }, () => handler(input), ({ otherSecret }) => !otherSecret);
    // The wait comes before the answer is stored for repeated requests, so a replay also comes after it.
    const run: typeof handler = !definition.hides || isDryRun(query) ? judged : async (input) => {
      const answered = await judged(input);
      await api.deliveryBarrier!.wait();
      return answered;
    };
    const answered = key === null ? await run(input) : await once(
      api,
      key,
      bodyMac,
      caller?.id ?? ctx.secret.mac("address", address),
      input,
      run,
    );
    response = render(api, definition, answered, request, requestId, rate);
  } catch (error) {
    if (error instanceof RateLimited) rate = error.state;
    response = problem(error, {
      instance: c.req.path,
      requestId,
      publicUrl: ctx.config.PUBLIC_URL ?? "",
      log: ctx.log,
      ...(rate && { headers: api.limiter.headers(rate) }),
    });
  } finally {
    stats.underWay--;
    place?.[Symbol.dispose]();
    if (received) await received[Symbol.asyncDispose]();
  }
  recordRequest(definition.method, PREFIX + definition.path, response, start);
  return response;
}

async function callerOf(
  ctx: ServiceContext,
  { access }: { access: Access },
  request: Request,
): Promise<Caller | undefined> {
  if (access === "anyone") return undefined;
  const header = request.headers.get("authorization");
  if (access === "optional" && header === null) return undefined;
  const caller = await authenticate(ctx, header);
  if (access === "admin" && caller.role !== "admin") {
    throw new AppError("forbidden", "Only administrators can do this");
  }
  if (access === "staff" && caller.role === "user") {
    throw new AppError("forbidden", "Only moderators and administrators can do this");
  }
  if (access === "verified" && !caller.verified && ctx.config.REQUIRE_VERIFIED_EMAIL) {
    throw new AppError("email-not-verified");
  }
  return caller;
}

function matched<P extends Params>(schema: P, params: Record<string, string>): z.output<P> {
  const parsed = schema.safeParse(params);
  if (parsed.success && storable(params)) return parsed.data;
  throw new AppError("not-found");
}

function isDryRun(query: { dry_run?: unknown }): boolean {
  return query.dry_run === "true";
}

/** Ids have one spelling, so that a repeated request is recognised. */
function canonicalPath(path: string): string {
  return path.replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi, (id) => id.toLowerCase());
}

/** Runs the handler once per key and body. */
async function once<I extends { receipt: { id: string; result?: unknown } | undefined }>(
  { idempotency }: Pick<Api, "idempotency">,
  key: string,
  bodyMac: string,
  scope: string,
  input: I,
  handler: (input: I) => Promise<Answer> | Answer,
): Promise<Answer> {
  if (!validKey(key)) {
    throw new AppError("validation", undefined, {
      errors: [{ path: "Idempotency-Key", rule: "format", message: "Expected 1 to 128 visible ASCII characters" }],
    });
  }
  const begun = await idempotency.begin({ scope, key, bodyMac });
  if ("replay" in begun) {
    const { status, location, body } = begun.replay;
    const headers = { "Idempotency-Replayed": "true", ...(location ? { Location: location } : {}) };
    return { status, headers, ...(body === null ? {} : { json: body }) };
  }
  const { receipt } = begun;
  try {
    const answered = await handler({ ...input, receipt });
    const json = answered.json ?? (answered.body === undefined ? null : JSON.stringify(answered.body));
    await idempotency.finish(receipt.id, {
      status: answered.status,
      location: answered.headers?.["Location"] ?? null,
      body: json,
    });
    return { ...answered, ...(json === null ? {} : { json }) };
  } catch (error) {
    await idempotency.release(receipt.id, error).catch(() => {});
    throw error;
  }
}

function render(
  api: Pick<Api<ServiceContext>, "ctx" | "limiter">,
  definition: { etag?: boolean },
  { status, body, json, stream, headers: extra, next_cursor }: Answer,
  request: Request,
  requestId: string,
  rate: RateState | undefined,
): Response {
  const headers: Record<string, string> = {
    "x-request-id": requestId,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...extra,
  };
  if (rate) Object.assign(headers, api.limiter.headers(rate));
  if (stream !== undefined) {
    return new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>> | null, { status, headers });
  }
  const text = json ?? (body === undefined ? undefined : JSON.stringify(body));
  if (text === undefined) return new Response(null, { status, headers });
  headers["content-type"] = "application/json";
  const next = next_cursor ??
    (typeof body === "object" && body !== null ? (body as { next_cursor?: unknown }).next_cursor : null);
  if (typeof next === "string") headers["link"] = `<${nextUrl(api.ctx, request.url, next)}>; rel="next"`;
  if (definition.etag && status === 200) {
    const etag = etagOf(text);
    headers["etag"] = etag;
    headers["cache-control"] = "private, no-cache";
    if (matches(request.headers.get("if-none-match") ?? undefined, etag)) {
      return new Response(null, { status: 304, headers });
    }
  }
  // With a Content-Length, the runtime sends head and body in two calls; a chunked answer needs one.
  headers["transfer-encoding"] = "chunked";
  return new Response(text, { status, headers });
}

/** Built from text, because a request with a malformed `Host` has no URL that can be parsed. */
function nextUrl({ config }: ServiceContext, current: string, cursor: string): string {
  const target = current.slice(current.indexOf("/", current.indexOf("//") + 2));
  const [path = ""] = target.split("?", 1);
  const search = new URLSearchParams(target.slice(path.length + 1));
  search.set("cursor", cursor);
  return `${config.PUBLIC_URL ?? ""}${path}?${search}`;
}

/** The client's address, by which callers without an account are counted. */
export function addressOf(c: Context): string {
  return originOf(c).address;
}

function originOf(c: Context): Origin {
  const { address = "unknown", secure = false } = (c.env ?? {}) as Partial<Origin>;
  return { address, secure };
}
