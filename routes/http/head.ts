import type { Hono } from "hono";

/** HEAD requests. */
const heads = new WeakSet<Request>();

/** Whether only headers are sent, so that an expensive body need not be read. */
export function isHead(request: Request): boolean {
  return request.method === "HEAD" || heads.has(request);
}

/**
 * Answers HEAD like GET, with a body: the platform sends its length but not the body (RFC 9110 §9.3.2). Hono would
 * remove the body first and send length 0.
 */
export function answerHeads(app: Hono): Hono {
  const { fetch } = app;
  app.fetch = (request, ...rest) => fetch(request.method === "HEAD" ? asGet(request) : request, ...rest);
  return app;
}

function asGet({ url, headers }: Request): Request {
  // A request with a malformed `Host` has no URL that can be parsed, and no answer depends on its host.
  const target = url.slice(url.indexOf("/", url.indexOf("//") + 2));
  const request = new Request(`http://localhost${target}`, { headers });
  heads.add(request);
  return request;
}
