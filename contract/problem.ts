import { SqlError } from "../db/sql.ts";
import { AppError, FULL_RETRY_S, PROBLEMS } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { counter } from "../lib/metrics/registry.ts";

export interface ProblemPlace {
  /** The request's path, without its query. */
  instance: string;
  requestId: string;
  /** The base of problem types; empty for a relative reference. */
  publicUrl: string;
  log: Log;
  /** Headers in addition to those of the problem. */
  headers?: Record<string, string>;
}

const PROBLEMS_SENT = counter(
  "problems_total",
  "Problems sent, by their slug: `outcome-unknown` is a 504",
  ["code"],
);

/** Interval of the log line about a full disk. */
const FULL_EVERY_MS = 60_000;

/**
 * Renders every error as `application/problem+json` (RFC 9457). For anything but an `AppError` the caller gets only the
 * request id.
 */
export function problem(
  error: unknown,
  { instance, requestId, publicUrl, log, headers: extra }: ProblemPlace,
): Response {
  const known = asAppError(error);
  if (known?.code === "disk-full") tellFull(log);
  if (!known || known.code === "internal") {
    log.error("request failed", {
      request_id: requestId,
      path: instance,
      error: error instanceof Error ? error.stack ?? error.message : String(error),
    });
  }
  const shown = known ?? new AppError("internal");
  PROBLEMS_SENT.inc({ code: shown.code });
  const body = {
    type: `${publicUrl}/problems/${shown.code}`,
    title: PROBLEMS[shown.code][1],
    status: shown.status,
    ...(shown.code === "internal" ? {} : { detail: shown.message }),
    instance,
    request_id: requestId,
    ...(shown.errors ? { errors: shown.errors } : {}),
    ...shown.members,
  };
  const headers = new Headers({
    ...extra,
    ...shown.headers,
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-request-id": requestId,
  });
  const retryAfter = shown.retryAfter ?? RETRY_AFTER_S[shown.status];
  if (retryAfter !== undefined) headers.set("retry-after", String(retryAfter));
  if (shown.status === 401) headers.set("www-authenticate", challenge(shown));
  if (shown.status === 426) { for (const [name, value] of HANDSHAKE) headers.set(name, value); }
  return new Response(JSON.stringify(body), { status: shown.status, headers });
}

/** Default `Retry-After` by status, in seconds. A new code can be requested once a minute. */
const RETRY_AFTER_S: Record<number, number | undefined> = { 429: 60, 503: 1 };
/** The protocol of the endpoint (RFC 9110 §15.5.22) and its version (RFC 6455 §4.4). */
const HANDSHAKE = [["upgrade", "websocket"], ["connection", "Upgrade"], ["sec-websocket-version", "13"]] as const;
const REALM = 'Bearer realm="rookery"';

/** RFC 6750 §3: a request without a token gets no error code. */
function challenge({ code }: AppError): string {
  return code === "token-missing" || code === "credentials-invalid"
    ? REALM
    : `${REALM}, error="invalid_token", error_description="${PROBLEMS[code][1]}"`;
}

let fullTold = -Infinity;

/** At an interval, as the log may be on the same disk. */
function tellFull(log: Log): void {
  if (performance.now() - fullTold < FULL_EVERY_MS) return;
  fullTold = performance.now();
  log.error("disk full, writes are refused");
}

function asAppError(error: unknown): AppError | undefined {
  if (error instanceof AppError) return error;
  if (!(error instanceof SqlError)) return undefined;
  if (error.kind === "full") return new AppError("disk-full", undefined, { retryAfter: FULL_RETRY_S, cause: error });
  if (error.kind === "unavailable" || error.kind === "lost") {
    return new AppError("database-unavailable", undefined, { retryAfter: 1, cause: error });
  }
  return undefined;
}
