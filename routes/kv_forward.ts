import { AppError } from "../lib/errors.ts";
import { Hop } from "../services/kv/forwarded_address.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { IdleTimeout } from "../lib/idle_timeout.ts";
import { type BodyWait, MAX_BODY_BYTES, patient, refuseEncoded } from "../contract/body.ts";
import { addressOf, type Api, PREFIX } from "./http/endpoint.ts";

/** Over it a request is refused at once: a store that hangs must not use up the node (`docs/limits.md`). */
const FORWARD_CONCURRENCY = 1_000;
/** Longer silence of the store is its absence. More than a caller's may be, who is then told so. */
const ANSWER_MS = 30_000;
const REQUEST_HEADERS = ["authorization", "content-type", "idempotency-key"];
/** Of one connection only (RFC 9110 §7.6.1), or made anew by what sends the answer on. */
const NOT_PASSED_ON = ["connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "date"];

/** Hands `/kv/*` on to the process that has the store, `KV_URL`. Who calls, how often and what is judged there, and only there. */
export function forwardKv({ app, ctx, stats, bodies }: Pick<Api, "app" | "ctx" | "stats" | "bodies">): void {
  const base = ctx.config.KV_URL;
  const hop = new Hop(ctx.secret);
  const places = new Semaphore({
    concurrency: FORWARD_CONCURRENCY,
    maxWaiting: 0,
    refusal: () => new AppError("overloaded", undefined, { retryAfter: 1 }),
  });
  app.all(`${PREFIX}/kv/*`, async (c) => {
    if (base === undefined) throw new AppError("kv-unavailable", "The key–value store is not configured");
    if (ctx.draining) throw new AppError("draining", undefined, { retryAfter: 1 });
    refuseEncoded(c.req.raw);
    const short = await shortBody(c.req.raw, { bodies, address: addressOf(c) });
    return await places.run(async () => {
      const response = await ask(c.req.raw, short, base, hop.headers(addressOf(c)));
      const group = `${Math.floor(response.status / 100)}xx`;
      stats.requests[group] = (stats.requests[group] ?? 0) + 1;
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
  // Dots in a path lead elsewhere.
  if (!url.href.startsWith(`${base}${PREFIX}/kv/`)) throw new AppError("not-found");
  const headers = new Headers({ ...hop, "accept-encoding": "identity" });
  for (const name of REQUEST_HEADERS) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  using patience = new IdleTimeout(ANSWER_MS, "The key–value store is silent");
  const body = bodyOf(request, short, url.pathname, patience);
  const { method } = request;
  let answer: Response;
  try {
    answer = await fetch(url, { method, headers, body, signal: patience.signal, redirect: "manual" });
  } catch (error) {
    throw unanswered(error, url.pathname);
  }
  const passedOn = new Headers(answer.headers);
  for (const name of NOT_PASSED_ON) passedOn.delete(name);
  return new Response(answer.body, { status: answer.status, headers: passedOn });
}

type Bytes = Uint8Array<ArrayBuffer>;

/** What is short is taken whole, before it takes a place. */
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
 * What is long streams through. What has an effect is a stream in any case: a body that is bytes is sent again by the platform itself,
 * unseen, when a connection that was used before breaks (denoland/deno#35610).
 */
function bodyOf(request: Request, short: Bytes | undefined, path: string, patience: IdleTimeout): BodyInit | null {
  if (short !== undefined) return onlyReads(path) ? short : ReadableStream.from([short]);
  return request.body === null ? null : ReadableStream.from(heard(request.body, patience));
}

async function* heard(body: ReadableStream<Uint8Array>, patience: IdleTimeout): AsyncGenerator<Uint8Array> {
  for await (const chunk of patient(body)) {
    patience.touch();
    yield chunk;
  }
}

/** Why there is no answer; for a write that may have reached the store, that nobody knows. */
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
