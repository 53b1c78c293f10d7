import type { VkToken } from "./token.ts";

/**
 * What a refusal of VK's means for whoever asked. The first three pass by themselves; `busy` is our own limiter's, `unreachable` is
 * no answer, or none that is VK's.
 */
export type FailureKind =
  | "failing"
  | "too-fast"
  | "unreachable"
  | "busy"
  | "flood"
  | "quota"
  | "token-dead"
  | "captcha"
  | "validation"
  | "confirmation"
  | "permission-missing"
  | "user-token-required"
  | "token-kind"
  | "denied"
  | "profile-private"
  | "user-gone"
  | "content-blocked"
  | "not-found"
  | "script"
  | "app"
  | "bug";

/** VK's error codes (`errors.json` of its schema 5.199); the last word on one that is not here is `bug`. */
const KINDS: Readonly<Record<number, FailureKind>> = {
  1: "failing",
  2: "app",
  3: "bug",
  4: "bug",
  5: "token-dead",
  6: "too-fast",
  7: "permission-missing",
  8: "bug",
  9: "flood",
  10: "failing",
  12: "script",
  13: "script",
  14: "captcha",
  15: "denied",
  16: "bug",
  17: "validation",
  18: "user-gone",
  19: "content-blocked",
  20: "app",
  21: "app",
  23: "bug",
  24: "confirmation",
  27: "token-kind",
  28: "user-token-required",
  29: "quota",
  30: "profile-private",
  33: "bug",
  34: "app",
  35: "app",
  36: "failing",
  37: "user-gone",
  38: "app",
  39: "not-found",
  40: "not-found",
  41: "app",
  42: "app",
  43: "failing",
  100: "bug",
  101: "app",
  104: "not-found",
  113: "not-found",
  150: "bug",
  200: "denied",
  201: "denied",
  203: "denied",
  204: "denied",
  205: "denied",
  210: "denied",
  211: "denied",
  212: "denied",
  213: "denied",
  214: "denied",
  260: "denied",
  1114: "token-dead",
  1116: "token-dead",
  1117: "token-dead",
  3300: "validation",
  3301: "validation",
  3302: "validation",
  3303: "validation",
  3304: "validation",
  3305: "validation",
  3609: "token-dead",
  3610: "token-dead",
  3611: "token-dead",
  9999: "bug",
  11500: "confirmation",
};

/** What the person is asked for, in the older form (a picture) or the newer one (a page to open). */
export interface Captcha {
  sid?: string;
  img?: string;
  redirect_uri?: string;
  /** Over 2⁵³, so it is text. */
  remixstlid?: string;
}

/** What the person found out; goes with the same call again. */
export type CaptchaAnswer =
  | { captcha_sid: string; captcha_key: string }
  | { success_token: string; remixstlid?: string | undefined };

export interface VkFailure {
  kind: FailureKind;
  /** VK's; 0 where VK has not answered. */
  code: number;
  /** VK's words, without the token; for developers. */
  message: string;
  captcha?: Captcha;
  /** The page where VK's user confirms who they are. */
  redirect_uri?: string;
  confirmation_text?: string;
}

export type VkResult<T> = { ok: true; value: T } | { ok: false; failure: VkFailure };

const MAX_MESSAGE = 300;

/** From VK's `error` object, of which nothing is taken for granted; what it echoes of the request is left out. */
export function failureOf(error: Readonly<Record<string, unknown>>, token: VkToken): VkFailure {
  const code = Number(error["error_code"]);
  const text = (name: string) => {
    const value = error[name];
    return typeof value === "string" || typeof value === "number" ? token.cutFrom(String(value)) : undefined;
  };
  const kind = KINDS[code] ?? "bug";
  const failure: VkFailure = {
    kind,
    code: Number.isInteger(code) ? code : 0,
    message: (text("error_msg") ?? text("error_text") ?? "").slice(0, MAX_MESSAGE),
  };
  const redirect_uri = linkOf(text("redirect_uri"));
  if (kind === "captcha") {
    failure.captcha = present({
      sid: text("captcha_sid"),
      img: linkOf(text("captcha_img")),
      redirect_uri,
      remixstlid: text("remixstlid"),
    });
  } else if (redirect_uri !== undefined) failure.redirect_uri = redirect_uri;
  const confirmation = text("confirmation_text");
  if (kind === "confirmation" && confirmation !== undefined) failure.confirmation_text = confirmation;
  return failure;
}

/** No answer, or none that is VK's. */
export function unreachable(message: string): VkFailure {
  return { kind: "unreachable", code: 0, message };
}

/** Whether it may be otherwise in a moment, without anybody doing anything. */
export function passesByItself({ kind }: VkFailure): boolean {
  return kind === "failing" || kind === "too-fast" || kind === "unreachable";
}

/** A person is to follow it, so it must be a page. */
function linkOf(text: string | undefined): string | undefined {
  const protocol = text === undefined ? undefined : URL.parse(text)?.protocol;
  return protocol === "https:" || protocol === "http:" ? text : undefined;
}

function present<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
