import type { ServiceContext } from "../../context.ts";
import type { Answer } from "./answer.ts";
import { etagOf, matches } from "./etag.ts";
import type { RateLimiter, RateState } from "./rate_limit.ts";

/** The response to a handler's answer. */
export function render(
  api: { ctx: ServiceContext; limiter: RateLimiter },
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
  const query = target.slice(path.length + 1);
  if (query === "") return `${config.PUBLIC_URL ?? ""}${path}?cursor=${encodeURIComponent(cursor)}`;
  const search = new URLSearchParams(query);
  search.set("cursor", cursor);
  return `${config.PUBLIC_URL ?? ""}${path}?${search}`;
}
