import type { Hono } from "hono";

/** Requests that answer a HEAD. */
const heads = new WeakSet<Request>();

/** Whether only the head of the answer is sent: then nobody need read what is expensive. */
export function isHead(request: Request): boolean {
  return request.method === "HEAD" || heads.has(request);
}

/**
 * Answers HEAD as GET, with the body: the platform tells its length and does not send it (RFC 9110 §9.3.2). Hono would take the body
 * away first, and the length would be 0.
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
