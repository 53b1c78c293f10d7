import type { Context, Hono } from "hono";
import { z } from "zod";
import type { AppContext, ServiceContext } from "../../context.ts";
import { AppError } from "../../lib/errors.ts";
import type { Origin } from "../../security/addresses.ts";
import type { Caller } from "../../actors/account_cache.ts";
import type { DeliveryBarrier } from "../../live/delivery_barrier.ts";
import type { Answer } from "./answer.ts";
import { authenticate } from "./authenticate.ts";
import { MAX_BODY_BYTES, parseJson, readJsonText, refuseEncoded, storable, validated } from "../../contract/body.ts";
import type { Semaphore } from "../../lib/semaphore.ts";
import type { Guesses } from "./guesses.ts";
import type { Idempotency } from "./idempotency.ts";
import { once } from "./once.ts";
import { problem } from "../../contract/problem.ts";
import { NO_QUERY, queried } from "./query.ts";
import { type LimitName, RateLimited, type RateLimiter, type RateState } from "./rate_limit.ts";
import { RouteMetrics } from "./request_metrics.ts";
import { render } from "./response.ts";
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

type AnyDefinition<C> = Definition<Access, Params, Params, z.ZodType, C>;

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
  endpoints: AnyDefinition<C>[];
  /** Requests in progress, except those that wait for a short body, and when the last began, by `performance.now()`. */
  stats: { underWay: number; lastAt: number };
}

/** Concurrent requests. Beyond this a new one is rejected at once (`docs/limits.md`). */
const MAX_CONCURRENT_REQUESTS = 4_000;
export const PREFIX = "/api/v1";

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
  const declared = definition as unknown as AnyDefinition<C>;
  api.endpoints.push(declared);
  const path = PREFIX + definition.path.replaceAll(/\{(\w+)\}/g, ":$1");
  const metrics = new RouteMetrics(definition.method, PREFIX + definition.path);
  const route = { definition: declared, handler: handler as unknown as Handler<C>, metrics };
  api.app.on(
    definition.method.toUpperCase(),
    path,
    (c) => serve(api, route, c),
  );
}

type AnyInput<C> = Input<Access, Record<string, unknown>, Record<string, unknown>, unknown, C>;
type Handler<C> = (input: AnyInput<C>) => Promise<Answer> | Answer;

/** What a request has until its response is sent. */
interface Held {
  /** The latest count of a rate limit. */
  rate?: RateState | undefined;
  received?: Received | undefined;
  /** A place for a long body. */
  place?: Disposable | undefined;
}

interface Route<C> {
  definition: AnyDefinition<C>;
  handler: Handler<C>;
  metrics: RouteMetrics;
}

async function serve<C extends ServiceContext>(
  api: Api<C>,
  { definition, handler, metrics }: Route<C>,
  c: Context,
): Promise<Response> {
  const { ctx, stats } = api;
  const start = performance.now();
  const requestId = currentRequestId();
  const held: Held = {};
  let response: Response;
  stats.underWay++;
  stats.lastAt = start;
  try {
    if (ctx.starting) throw new AppError("draining", undefined, { retryAfter: 1 });
    refuseOverload(api);
    const answered = await handle(api, definition, handler, c, held);
    response = render(api, definition, answered, c.req.raw, requestId, held.rate);
  } catch (error) {
    if (error instanceof RateLimited) held.rate = error.state;
    response = problem(error, {
      instance: c.req.path,
      requestId,
      publicUrl: ctx.config.PUBLIC_URL ?? "",
      log: ctx.log,
      ...(held.rate && { headers: api.limiter.headers(held.rate) }),
    });
  } finally {
    stats.underWay--;
    held.place?.[Symbol.dispose]();
    if (held.received) await held.received[Symbol.asyncDispose]();
  }
  metrics.record(response, start);
  return response;
}

function refuseOverload({ stats }: Pick<Api, "stats">): void {
  if (stats.underWay > MAX_CONCURRENT_REQUESTS) throw new AppError("overloaded", undefined, { retryAfter: 1 });
}

/** Checks the request and runs its handler, once if it has an Idempotency-Key. */
async function handle<C extends ServiceContext>(
  api: Api<C>,
  definition: AnyDefinition<C>,
  handler: Handler<C>,
  c: Context,
  held: Held,
): Promise<Answer> {
  const { secret } = api.ctx;
  const { input, text } = await inputOf(api, definition, c, held);
  const { caller, address, request, received } = input;
  const key = definition.creates ? request.headers.get("idempotency-key") : null;
  const bodyMac = key === null ? "" : secret.mac(
    "idempotency",
    `${definition.method} ${canonicalPath(c.req.path)}\n${received?.content ?? text}`,
  );
  // Photos are in storage now, so their text is released.
  if (received) received.value = received.content = "";
  const run = guarded(api, definition, handler, input);
  if (key === null) return await run(input);
  return await once(api.idempotency, key, bodyMac, caller?.id ?? secret.mac("address", address), input, run);
}

/** What the handler gets, and the text of its body. The order of the checks decides which problem is reported. */
async function inputOf<C extends ServiceContext>(
  api: Api<C>,
  definition: AnyDefinition<C>,
  c: Context,
  held: Held,
): Promise<{ input: AnyInput<C>; text: string }> {
  const { ctx } = api;
  const request = c.req.raw;
  const { address, secure } = originOf(c);
  held.rate = await api.limiter.check("general_address", address);
  const caller = await callerOf(ctx, definition, request);
  if (caller && !definition.pictures) await countLimit(api, held, "general_account", caller.id);
  const params = definition.params ? matched(definition.params, c.req.param()) : {};
  const query = queried(definition.query ?? NO_QUERY, c.req.url);
  if (definition.body) refuseEncoded(request);
  if (definition.before && Uploads.heavy(request)) await definition.before({ ctx, caller, params });
  const text = await receiveBody(api, definition, request, { address, account: caller?.id }, held);
  const { received } = held;
  // Others may have taken the places while the body was read.
  refuseOverload(api);
  const parsed = definition.body && !received ? (definition.parse ?? parseJson)(text) : undefined;
  if (definition.limit) {
    await countLimit(api, held, definition.limit, caller ? `account ${caller.id}` : `address ${address}`);
  }
  const body = definition.body ? validated(definition.body, received ? received.value : parsed) : undefined;
  return { input: { ctx, caller, params, query, body, request, address, secure, receipt: undefined, received }, text };
}

async function countLimit(
  { limiter }: Pick<Api, "limiter">,
  held: Held,
  limit: LimitName,
  counted: string,
): Promise<void> {
  held.rate = await limiter.check(limit, counted) ?? held.rate;
}

/** Reads the body: uploads are held, of anything else the text is returned. */
async function receiveBody<C extends ServiceContext>(
  api: Api<C>,
  definition: AnyDefinition<C>,
  request: Request,
  { address, account = address }: { address: string; account: string | undefined },
  held: Held,
): Promise<string> {
  const { body, bodyBound, uploads } = definition;
  const wait = { bodies: api.bodies, address };
  held.received = uploads && await api.uploads!.receive(request, uploads, account, wait);
  const long = bodyBound !== undefined && bodyBound > MAX_BODY_BYTES && Uploads.heavy(request);
  if (long) held.place = await api.longBodies.acquire({ key: account });
  return body && !held.received ? await readJsonText(request, wait, bodyBound) : "";
}

/** The handler with its guards: it counts wrong guesses, and its answer waits for live listeners. */
function guarded<C extends ServiceContext>(
  api: Api<C>,
  definition: AnyDefinition<C>,
  handler: Handler<C>,
  input: AnyInput<C>,
): Handler<C> {
  const { address, query } = input;
  const name = definition.guesses?.(input);
  const judged: Handler<C> = name === undefined
    ? handler
    : (input) => api.guesses.judge({ name, address }, () => handler(input), ({ otherSecret }) => !otherSecret);
  if (!definition.hides || isDryRun(query)) return judged;
  // The wait comes before the answer is stored for repeated requests, so a replay also comes after it.
  return async (input) => {
    const answered = await judged(input);
    await api.deliveryBarrier!.wait();
    return answered;
  };
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

/** The client's address, by which callers without an account are counted. */
export function addressOf(c: Context): string {
  return originOf(c).address;
}

function originOf(c: Context): Origin {
  const { address = "unknown", secure = false } = (c.env ?? {}) as Partial<Origin>;
  return { address, secure };
}
