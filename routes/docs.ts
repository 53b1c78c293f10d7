import type { Context } from "hono";
import { type ProblemCode, PROBLEMS } from "../lib/errors.ts";
import type { Api } from "./http/endpoint.ts";
import { etagOf, matches } from "./http/etag.ts";
import { Assets, ownFiles, WEB_FOLDER } from "./assets.ts";
import { escape, layout, page, STYLED_POLICY } from "./web.ts";

/** Files of the installed package. Nothing is loaded from other servers. */
const READER = ["swagger-ui.css", "swagger-ui-bundle.js"];

/**
 * HTML pages: the site, its administration, the API `document` (JSON) with its reader, and a page per problem. `folder`
 * has the site's files.
 */
export function docsRoutes({ app }: Pick<Api, "app">, document: string, folder = WEB_FOLDER): void {
  const files = folder === WEB_FOLDER ? ownFiles() : Assets.of(folder);
  // Large and rarely requested, so it is read on the first request.
  let reader: Assets | undefined;
  const readerFiles = () => reader ??= new Assets(READER.map((name) => [name, Deno.readFileSync(readerFile(name))]));
  // Read at the start: a later update may replace the folder's content.
  const [index, admin, docs] = ["index.html", "admin.html", "docs.html"].map((name) =>
    files.linked(Deno.readTextFileSync(new URL(name, folder)))
  ) as [string, string, string];
  const pages: [path: string, html: () => string, policy?: string][] = [
    ["/", () => index],
    // It has no data of its own: the API authorises each request.
    ["/admin", () => admin],
    ["/docs", () => readerFiles().linked(docs), STYLED_POLICY],
    ["/problems", problemList],
  ];
  for (const [path, make, policy] of pages) {
    let made: string | undefined;
    app.get(path, (c) => page(made ??= make(), withTag(c, policy)));
  }
  app.get(
    "/assets/*",
    (c) => files.answer(c.req.path) ?? readerFiles().answer(c.req.path) ?? c.notFound(),
  );

  documentRoute(app, "/openapi.json", document);

  app.get("/problems/:slug", (c) => {
    const slug = c.req.param("slug");
    if (Object.hasOwn(PROBLEMS, slug)) return page(problemPage(slug as ProblemCode), withTag(c));
    return page(layout("No such problem", `<p>No problem has this name.</p>${BACK}`), { status: 404 });
  });
}

/** A JSON document that any origin may read. */
export function documentRoute(app: Api["app"], path: string, document: string): void {
  const etag = etagOf(document);
  app.get(path, (c) => {
    const headers = {
      "content-type": "application/json",
      etag,
      "cache-control": "no-cache",
      "access-control-allow-origin": "*",
    };
    return matches(c.req.header("if-none-match"), etag)
      ? new Response(null, { status: 304, headers })
      : new Response(document, { headers });
  });
}

function withTag(c: Context, policy?: string): Parameters<typeof page>[1] {
  const ifNoneMatch = c.req.header("if-none-match");
  return { ...(policy && { policy }), ...(ifNoneMatch !== undefined && { ifNoneMatch }) };
}

function readerFile(name: string): URL {
  return new URL(import.meta.resolve(`swagger-ui-dist/${name}`));
}

const BACK = `<p><a href="/problems">All problems</a> · <a href="/docs">The API</a></p>`;

function problemList(): string {
  const rows = Object.entries(PROBLEMS).map(([slug, [status, title]]) =>
    `<tr><td>${status}</td><td><a href="/problems/${slug}"><code>${slug}</code></a></td><td>${escape(title)}</td></tr>`
  );
  const head =
    `<thead><tr><th scope="col">Status</th><th scope="col">Problem</th><th scope="col">Meaning</th></tr></thead>`;
  return layout("Problems", `<table>${head}<tbody>${rows.join("")}</tbody></table><p><a href="/docs">The API</a></p>`);
}

function problemPage(slug: ProblemCode): string {
  const [status, title] = PROBLEMS[slug];
  const facts: [string, string][] = [["Problem", `<code>${slug}</code>`], ["Status", String(status)], [
    "What to do",
    escape(advice(slug, status)),
  ]];
  const list = facts.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join("");
  return layout(title, `<dl>${list}</dl>${BACK}`);
}

/** Advice by problem or else by status. */
function advice(slug: ProblemCode, status: number): string {
  const own: Partial<Record<ProblemCode, string>> = {
    "token-expired": "Refresh the token pair",
    "token-refreshed": "Use the access token of the newest pair",
    "idempotency-key-reused": "Use a new Idempotency-Key for another body",
    "idempotency-key-running": "Repeat the same request after Retry-After",
    "email-not-verified": "Send the code from the email, or request a new one",
    "code-exhausted": "Request a new code",
    "outcome-unknown": "Repeat the request with the same Idempotency-Key; it runs only once",
    "upgrade-required": "Connect as a WebSocket client",
  };
  if (own[slug]) return own[slug];
  if (status === 401) return "Sign in again";
  if (status === 429 || status === 503) return "Try again after Retry-After";
  if (status === 422 || status === 400) return "Correct the request; `errors` names the fields";
  if (status >= 500) return "Try again later, and tell the operator the request_id";
  return "Read the problem's `detail`; the same request will be refused again until something changes";
}
