import { AppError } from "../lib/errors.ts";
import { Hop } from "../services/kv/forwarded_address.ts";
import { methodLabel } from "../lib/http/measured.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { IdleTimeout } from "../lib/idle_timeout.ts";
import { type BodyWait, MAX_BODY_BYTES, patient, refuseEncoded } from "../contract/body.ts";
import { outgoingHeaders } from "../lib/tracing.ts";
import { addressOf, type Api, PREFIX } from "./http/endpoint.ts";
import { RouteMetrics } from "./http/request_metrics.ts";

/** Beyond this a request is rejected at once, so that a hanging store does not exhaust the node (`docs/limits.md`). */
const FORWARD_CONCURRENCY = 1_000;
/**
 * A store silent for this long counts as unavailable. Longer than the limit for a client's body, so that the client
 * gets the more precise error.
 */
const ANSWER_MS = 30_000;
const REQUEST_HEADERS = ["authorization", "content-type", "idempotency-key"];
/** Hop-by-hop headers (RFC 9110 §7.6.1), and headers that are set again. */
const NOT_PASSED_ON = ["connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "date"];

/** Forwards `/kv/*` to the process with the store, `KV_URL`. Only that process authenticates, limits and validates. */
export function forwardKv({ app, ctx, bodies }: Pick<Api, "app" | "ctx" | "bodies">): void {
  const base = ctx.config.KV_URL;
  const hop = new Hop(ctx.secret);
  const places = new Semaphore({
    concurrency: FORWARD_CONCURRENCY,
    maxWaiting: 0,
    refusal: () => new AppError("overloaded", undefined, { retryAfter: 1 }),
  });
  const metrics = new Map<string, RouteMetrics>();
  const metricsOf = (method: string) => {
    let found = metrics.get(method);
    if (!found) metrics.set(method, found = new RouteMetrics(method, `${PREFIX}/kv/*`));
    return found;
  };
  app.all(`${PREFIX}/kv/*`, async (c) => {
    const start = performance.now();
    if (base === undefined) throw new AppError("kv-unavailable", "The key–value store is not configured");
    if (ctx.starting) throw new AppError("draining", undefined, { retryAfter: 1 });
    refuseEncoded(c.req.raw);
    const short = await shortBody(c.req.raw, { bodies, address: addressOf(c) });
    return await places.run(async () => {
      const response = await ask(c.req.raw, short, base, hop.headers(addressOf(c)));
      metricsOf(methodLabel(c.req.method)).record(response, start);
      return response;
    });
  });
}

async function ask(
  request: Request,
  short: Bytes | undefined,
  base: string,
  hop: Record<string, string>,
): Promise<Response> {
  const url = new URL(base + request.url.slice(request.url.indexOf("/", request.url.indexOf("//") + 2)));
  // Dot segments could lead to another path.
  if (!url.href.startsWith(`${base}${PREFIX}/kv/`)) throw new AppError("not-found");
  const headers = new Headers({ ...outgoingHeaders(), ...hop, "accept-encoding": "identity" });
  for (const name of REQUEST_HEADERS) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  using idleTimeout = new IdleTimeout(ANSWER_MS, "The key–value store is silent");
  const body = bodyOf(request, short, url.pathname, idleTimeout);
  const { method } = request;
  let answer: Response;
  try {
    answer = await fetch(url, { method, headers, body, signal: idleTimeout.signal, redirect: "manual" });
  } catch (error) {
    throw unanswered(error, url.pathname);
  }
  const passedOn = new Headers(answer.headers);
  for (const name of NOT_PASSED_ON) passedOn.delete(name);
  return new Response(answer.body, { status: answer.status, headers: passedOn });
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Reads a short body completely before it takes a place. */
async function shortBody(request: Request, { bodies, address }: BodyWait): Promise<Bytes | undefined> {
  const announced = request.headers.get("content-length");
  if (request.body === null || announced === null || Number(announced) > MAX_BODY_BYTES) return undefined;
  try {
    return await bodies.wait(address, request.bytes());
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("invalid-json", "The request body ended before it was complete", { cause: error });
  }
}

/**
 * Streams long bodies. Requests with an effect always stream: the platform silently sends a body of bytes again if a
 * reused connection breaks (denoland/deno#35610).
 */
function bodyOf(request: Request, short: Bytes | undefined, path: string, idleTimeout: IdleTimeout): BodyInit | null {
  if (short !== undefined) return onlyReads(path) ? short : ReadableStream.from([short]);
  return request.body === null ? null : ReadableStream.from(heard(request.body, idleTimeout));
}

async function* heard(body: ReadableStream<Uint8Array>, idleTimeout: IdleTimeout): AsyncGenerator<Uint8Array> {
  for await (const chunk of patient(body)) {
    idleTimeout.touch();
    yield chunk;
  }
}

/** The problem of a missing answer. If a write may have reached the store, the outcome is unknown. */
function unanswered(error: unknown, path: string): AppError {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AppError) return cause;
  const sent = !(cause instanceof Error && cause.message.includes("(Connect)"));
  if (sent && !onlyReads(path)) return new AppError("outcome-unknown", undefined, { cause: error });
  return new AppError("kv-unavailable", undefined, { retryAfter: 1, cause: error });
}

function onlyReads(path: string): boolean {
  return /\/(read|keys)$/.test(path);
}
