import { type ProblemCode, PROBLEMS } from "../errors.ts";
import type { Api } from "./http/endpoint.ts";
import { etagOf, matches } from "./http/etag.ts";
import { escape, file, layout, page, STYLED_POLICY, webFile } from "./web.ts";

/** What the site itself is made of, in `web/`. */
const PARTS = [
  "bell",
  "bell_line",
  "bell_settings",
  "feed",
  "following",
  "live",
  "page",
  "photos",
  "post_item",
  "post_view",
  "session",
  "unready",
  "writing",
];
const ROOMS = ["accounts", "act", "jobs", "pages", "parts", "record", "reports"];
const CLIENT = [
  ...["app.css", "app.js", "admin.css", "admin.js"],
  ...PARTS.map((part) => `app/${part}.js`),
  ...ROOMS.map((room) => `admin/${room}.js`),
];

/** Pages for people: the site itself, its administration, the API's `document` (JSON) with its reader, and what each problem means. */
export function docsRoutes({ app }: Pick<Api, "app">, document: string): void {
  app.get("/", webFile("index.html"));
  // It shows nothing by itself: what an administrator sees comes from the API, which asks who calls.
  app.get("/admin", webFile("admin.html"));
  for (const name of CLIENT) app.get(`/${name}`, webFile(name));

  const etag = etagOf(document);
  app.get("/openapi.json", (c) => {
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

  app.get("/docs", webFile("docs.html", STYLED_POLICY));
  app.get("/docs/docs.js", webFile("docs.js"));
  for (const name of ["swagger-ui.css", "swagger-ui-bundle.js"]) {
    // From the installed package; nothing is fetched from elsewhere.
    app.get(`/docs/${name}`, file(new URL(import.meta.resolve(`swagger-ui-dist/${name}`))));
  }

  app.get("/plain.css", webFile("plain.css"));
  app.get("/problems", () => page(problemList()));
  app.get("/problems/:slug", (c) => {
    const slug = c.req.param("slug");
    if (Object.hasOwn(PROBLEMS, slug)) return page(problemPage(slug as ProblemCode));
    return page(layout("No such problem", `<p>There is no problem of that name.</p>${BACK}`), { status: 404 });
  });
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

/** By status, but where a problem has an answer of its own. */
function advice(slug: ProblemCode, status: number): string {
  const own: Partial<Record<ProblemCode, string>> = {
    "token-expired": "Ask for a new pair with the refresh token",
    "token-refreshed": "Use the access token of the newest pair",
    "idempotency-key-reused": "Take a new Idempotency-Key for another body",
    "idempotency-key-running": "Repeat the same request after Retry-After",
    "email-not-verified": "Give the code of the letter, or ask for a new one",
    "code-exhausted": "Ask for a new code",
    "outcome-unknown": "Repeat the request with the same Idempotency-Key; it is done once",
    "upgrade-required": "Connect as a WebSocket client",
  };
  if (own[slug]) return own[slug];
  if (status === 401) return "Sign in again";
  if (status === 429 || status === 503) return "Try again after Retry-After";
  if (status === 422 || status === 400) return "Correct the request; `errors` names the fields";
  if (status >= 500) return "Try again later, and tell the operator the request_id";
  return "Read the problem's `detail`; the same request will be refused again until something changes";
}
