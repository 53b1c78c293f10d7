/** The site's own pages and their assets: read once, sent with a policy that lets nothing in from outside. */

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

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

export function page(
  html: string,
  { status = 200, policy = POLICY }: { status?: number; policy?: string } = {},
): Response {
  return new Response(html, { status, headers: headers("html", policy) });
}

/** A page that needs no script: `title` is text, `body` is HTML. */
export function layout(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} · Rookery</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/plain.css"></head>
<body><p class="brand"><a href="/"><span aria-hidden="true">◖</span> Rookery</a></p>
<main><h1>${escape(title)}</h1>${body}</main></body>
</html>
`;
}

/** Text, to stand in HTML or in an attribute between double quotes. */
export function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

/** Answers a file, which is read at the first request and kept from then on. */
export function file(url: URL, policy = POLICY): () => Promise<Response> {
  const type = url.pathname.slice(url.pathname.lastIndexOf(".") + 1);
  let content: Promise<Uint8Array<ArrayBuffer>> | undefined;
  return async () => {
    content ??= Deno.readFile(url).catch((error) => {
      content = undefined;
      throw error;
    });
    return new Response(await content, {
      headers: { ...headers(type, policy), "cache-control": "public, max-age=300" },
    });
  };
}

/** A file of the folder `web/`. */
export function webFile(name: string, policy?: string): () => Promise<Response> {
  return file(new URL(`../web/${name}`, import.meta.url), policy);
}

function headers(type: string, policy: string): Record<string, string> {
  return {
    "content-type": TYPES[type] ?? "application/octet-stream",
    "content-security-policy": policy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
  };
}
