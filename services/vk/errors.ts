import type { VkToken } from "./token.ts";

/**
 * The meaning of a VK error for the caller. The first three are temporary. `busy` comes from our limiter; `unreachable`
 * is no response, or none from VK.
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

/** VK's error codes (`errors.json` of its schema 5.199); unknown ones are `bug`. */
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

/** What VK asks of the person, in the older form (a picture) or the newer one (a page). */
export interface Captcha {
  sid?: string;
  img?: string;
  redirect_uri?: string;
  /** Exceeds 2⁵³, so it is text. */
  remixstlid?: string;
}

/** The person's answer; sent with the same call. */
export type CaptchaAnswer =
  | { captcha_sid: string; captcha_key: string }
  | { success_token: string; remixstlid?: string | undefined };

export interface VkFailure {
  kind: FailureKind;
  /** VK's code; 0 without a response of VK. */
  code: number;
  /** VK's message without the token; for developers. */
  message: string;
  captcha?: Captcha;
  /** The page where the user confirms their identity. */
  redirect_uri?: string;
  confirmation_text?: string;
}

export type VkResult<T> = { ok: true; value: T } | { ok: false; failure: VkFailure };

const MAX_MESSAGE = 300;

/** Parses VK's `error` object, which is not trusted; the echoed request is dropped. */
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

/** No response, or none from VK. */
export function unreachable(message: string): VkFailure {
  return { kind: "unreachable", code: 0, message };
}

/** Whether a retry may succeed without any action. */
export function passesByItself({ kind }: VkFailure): boolean {
  return kind === "failing" || kind === "too-fast" || kind === "unreachable";
}

/** A link for a person, so it must be a web page. */
function linkOf(text: string | undefined): string | undefined {
  const protocol = text === undefined ? undefined : URL.parse(text)?.protocol;
  return protocol === "https:" || protocol === "http:" ? text : undefined;
}

function present<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
