/** The site's own pages: revalidated at each request, with a strict content security policy. */
import { ownFiles } from "./assets.ts";
import { etagOf, matches } from "./http/etag.ts";

/** Scripts, styles and connections of this origin only. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

/** Swagger UI sets style attributes on its elements. */
export const STYLED_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'");

/** With `ifNoneMatch`, the request's header, an unchanged page is 304. */
export function page(
  html: string,
  { status = 200, policy = POLICY, ifNoneMatch }: { status?: number; policy?: string; ifNoneMatch?: string } = {},
): Response {
  const etag = etagOf(html);
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
    etag,
  };
  if (status === 200 && matches(ifNoneMatch, etag)) return new Response(null, { status: 304, headers });
  return new Response(html, { status, headers });
}

/** A page that needs no script: `title` is text, `body` is HTML. */
export function layout(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} · Rookery</title><link rel="icon" href="data:,"><link rel="stylesheet" href="${
    ownFiles().pathOf("plain.css")
  }"></head>
<body><p class="brand"><a href="/"><span aria-hidden="true">◖</span> Rookery</a></p>
<main><h1>${escape(title)}</h1>${body}</main></body>
</html>
`;
}

/** Escapes text for HTML and for attributes in double quotes. */
export function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
