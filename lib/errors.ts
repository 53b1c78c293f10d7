/** HTTP status and title of each problem. The slug is the last segment of the problem's `type`. */
export const PROBLEMS = {
  "invalid-json": [400, "The request body is not valid JSON"],
  "invalid-body": [400, "The request body is incomplete or malformed"],
  "repeated-keys": [400, "Some keys occur more than once"],
  "invalid-query": [400, "The query string is invalid"],
  "invalid-cursor": [400, "The cursor does not belong to this list"],
  "invalid-handshake": [400, "The WebSocket handshake is invalid"],
  "validation": [422, "Some fields are invalid"],
  "idempotency-key-reused": [422, "The Idempotency-Key was already used with another body"],
  "idempotency-key-running": [409, "A request with this Idempotency-Key is still in progress"],
  "token-missing": [401, "Authentication is required"],
  "token-invalid": [401, "The token is invalid"],
  "token-expired": [401, "The token has expired"],
  "token-outdated": [401, "The token is outdated because the account signed in elsewhere"],
  "token-refreshed": [401, "The token was replaced by a refresh"],
  "token-reused": [401, "The session was ended because a refresh token was reused"],
  "session-ended": [401, "The session has ended"],
  "credentials-invalid": [401, "The login or password is incorrect"],
  "account-blocked": [403, "The account is blocked"],
  "page-blocked": [403, "The page is blocked"],
  "email-not-verified": [403, "The email address is not verified"],
  "forbidden": [403, "Permission denied"],
  "registration-closed": [403, "Only administrators can create accounts"],
  "not-found": [404, "Not found"],
  "keys-not-found": [404, "Some keys do not exist"],
  "method-not-allowed": [405, "Method not allowed"],
  "request-timeout": [408, "Timed out waiting for the request body"],
  "login-taken": [409, "The login is already taken"],
  "email-taken": [409, "The email address is already taken"],
  "uuid-taken": [409, "The handle is already taken"],
  "personal-page": [409, "A personal page is deleted only with its account"],
  "own-page": [409, "You cannot follow your own page"],
  "last-admin": [409, "The last administrator cannot be removed"],
  "report-taken": [409, "Someone else has taken the report"],
  "report-closed": [409, "The report is closed"],
  "too-many-reports": [409, "Too many of your reports are still open"],
  "not-requested": [409, "Some accounts have not requested to follow the page"],
  "version-conflict": [409, "Some keys have another version"],
  "code-invalid": [422, "The code is incorrect or has expired"],
  "code-exhausted": [429, "Too many incorrect codes; request a new one"],
  "already-verified": [409, "The email address is already verified"],
  "nothing-to-retry": [409, "Nothing to retry"],
  "upload-expired": [409, "The upload has expired; send it again"],
  "photo-unreadable": [422, "The photo could not be read"],
  "storage-unavailable": [503, "Photo storage is unavailable"],
  "vk-token-missing": [409, "No VK token is stored"],
  "vk-token-invalid": [409, "VK rejected the stored token; store a new one"],
  "vk-user-token-required": [409, "VK requires a user's token for this request"],
  "vk-captcha-needed": [409, "VK requires a captcha"],
  "vk-validation-required": [409, "VK requires the user to confirm their identity"],
  "vk-refused": [409, "VK refused the request"],
  "vk-unavailable": [503, "VK is unavailable"],
  "vk-not-configured": [503, "VK is not configured"],
  "stats-unavailable": [503, "Statistics are unavailable"],
  "kv-unavailable": [503, "The key–value store is unavailable"],
  "precondition-failed": [412, "The resource has changed"],
  "body-too-large": [413, "The request body is too large"],
  "unsupported-media-type": [415, "Unsupported media type"],
  "upgrade-required": [426, "This endpoint requires WebSocket"],
  "rate-limited": [429, "Too many requests"],
  "internal": [500, "Internal server error"],
  "overloaded": [503, "The server is overloaded"],
  "disk-full": [503, "The server is out of disk space"],
  "database-unavailable": [503, "The database is unavailable"],
  "actors-unavailable": [503, "The node that handles this request is unavailable"],
  "draining": [503, "This node is shutting down"],
  "outcome-unknown": [504, "The outcome is unknown; repeat the request with the same Idempotency-Key"],
} as const satisfies Record<string, readonly [number, string]>;

/** `Retry-After` of `disk-full`, in seconds. */
export const FULL_RETRY_S = 10;

export type ProblemCode = keyof typeof PROBLEMS;

/** One field of a validation problem; `path` is dotted (`photos.2.data`). */
export interface FieldError {
  path: string;
  rule: string;
  message: string;
}

/** Extension members of a problem (RFC 9457 §3.2): what a program needs to go on. */
export interface ProblemMembers {
  /** The page that the user opens. */
  redirect_uri?: string;
  captcha_sid?: string;
  captcha_img?: string;
  remixstlid?: string;
}

/** An error for the caller. Any other error becomes a 500 with only a request id. */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly status: number;
  readonly retryAfter: number | undefined;
  readonly errors: FieldError[] | undefined;
  readonly members: ProblemMembers | undefined;
  readonly headers: Record<string, string> | undefined;
  constructor(
    readonly code: ProblemCode,
    /** What is wrong and what to do; the title where absent. */
    detail?: string,
    /** `retryAfter` in seconds. */
    options: {
      retryAfter?: number;
      errors?: FieldError[];
      members?: ProblemMembers;
      headers?: Record<string, string>;
      cause?: unknown;
    } = {},
  ) {
    super(detail ?? PROBLEMS[code][1], options.cause === undefined ? {} : { cause: options.cause });
    this.status = PROBLEMS[code][0];
    this.retryAfter = options.retryAfter;
    this.errors = options.errors;
    this.members = options.members;
    this.headers = options.headers;
  }
}
