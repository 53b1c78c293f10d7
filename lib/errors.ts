/** Every problem a caller can meet, by its slug, with its HTTP status and title. The slug ends the problem's `type`. */
export const PROBLEMS = {
  "invalid-json": [400, "The body is not valid JSON"],
  "invalid-body": [400, "The body is not whole"],
  "repeated-keys": [400, "Some keys are repeated"],
  "invalid-query": [400, "The query is malformed"],
  "invalid-cursor": [400, "The cursor is not one of this list"],
  "invalid-handshake": [400, "The WebSocket handshake is malformed"],
  "validation": [422, "Some fields break their rules"],
  "idempotency-key-reused": [422, "The Idempotency-Key was used with another body"],
  "idempotency-key-running": [409, "A request with this Idempotency-Key is still running"],
  "token-missing": [401, "A token is needed"],
  "token-invalid": [401, "The token is not valid"],
  "token-expired": [401, "The token has expired"],
  "token-outdated": [401, "The token is outdated because the account signed in elsewhere"],
  "token-refreshed": [401, "The token was replaced by a refresh"],
  "token-reused": [401, "The session was ended because a used refresh token came again"],
  "session-ended": [401, "The session has ended"],
  "credentials-invalid": [401, "Login or password is wrong"],
  "account-blocked": [403, "The account is blocked"],
  "page-blocked": [403, "The page is blocked"],
  "email-not-verified": [403, "The e-mail is not verified"],
  "forbidden": [403, "This caller may not do that"],
  "registration-closed": [403, "Only an administrator creates accounts"],
  "not-found": [404, "There is no such thing, or none this caller may see"],
  "keys-not-found": [404, "Some keys do not exist"],
  "method-not-allowed": [405, "The method is not allowed here"],
  "request-timeout": [408, "The body came too slowly"],
  "login-taken": [409, "The login is taken"],
  "email-taken": [409, "The e-mail is taken"],
  "uuid-taken": [409, "The handle is taken"],
  "personal-page": [409, "The personal page goes with its account only"],
  "own-page": [409, "Nobody follows their own page"],
  "last-admin": [409, "The last administrator cannot be removed"],
  "report-taken": [409, "Somebody else has taken the report"],
  "report-closed": [409, "The report is closed"],
  "too-many-reports": [409, "Too many reports of this person still wait for staff"],
  "not-requested": [409, "Somebody named did not ask to follow"],
  "version-conflict": [409, "Some keys are at another version"],
  "code-invalid": [422, "The code is wrong or has expired"],
  "code-exhausted": [429, "Too many wrong codes; ask for a new one"],
  "already-verified": [409, "The e-mail is verified already"],
  "nothing-to-retry": [409, "Nothing here can be tried again"],
  "upload-expired": [409, "The upload took too long; send it again"],
  "photo-unreadable": [422, "The photo could not be read"],
  "storage-unavailable": [503, "The storage of photos cannot be reached"],
  "vk-token-missing": [409, "No VK token is stored"],
  "vk-token-invalid": [409, "VK refuses the stored token; store another"],
  "vk-user-token-required": [409, "VK tells this to a person's token only"],
  "vk-captcha-needed": [409, "VK wants to see that a person asks"],
  "vk-validation-required": [409, "VK wants its user to confirm who they are"],
  "vk-refused": [409, "VK refuses the request"],
  "vk-unavailable": [503, "VK does not answer"],
  "vk-not-configured": [503, "VK is not set up here"],
  "stats-unavailable": [503, "The statistics cannot be reached"],
  "kv-unavailable": [503, "The key–value store cannot be reached"],
  "precondition-failed": [412, "The thing has changed"],
  "body-too-large": [413, "The body is too large"],
  "unsupported-media-type": [415, "The content type is not supported"],
  "upgrade-required": [426, "This address speaks WebSocket"],
  "rate-limited": [429, "Too many requests"],
  "internal": [500, "Something went wrong here"],
  "overloaded": [503, "The server is busy"],
  "disk-full": [503, "There is no room to store anything"],
  "database-unavailable": [503, "The database is out of reach"],
  "actors-unavailable": [503, "The node that does this cannot be reached"],
  "draining": [503, "This node is stopping"],
  "outcome-unknown": [504, "Whether it was done is unknown; repeating with the same Idempotency-Key is safe"],
} as const satisfies Record<string, readonly [number, string]>;

/** Seconds after which somebody may have made room. */
export const FULL_RETRY_S = 10;

export type ProblemCode = keyof typeof PROBLEMS;

/** One field of a validation problem; `path` is dotted (`photos.2.data`). */
export interface FieldError {
  path: string;
  rule: string;
  message: string;
}

/** What a problem says beside its words (RFC 9457 §3.2): what to do about it, so that a program need not read. */
export interface ProblemMembers {
  /** The page to open. */
  redirect_uri?: string;
  captcha_sid?: string;
  captcha_img?: string;
  remixstlid?: string;
}

/** The one error that reaches a caller. Anything else is a 500 that says nothing but its request id. */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly status: number;
  readonly retryAfter: number | undefined;
  readonly errors: FieldError[] | undefined;
  readonly members: ProblemMembers | undefined;
  readonly headers: Record<string, string> | undefined;
  constructor(
    readonly code: ProblemCode,
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
