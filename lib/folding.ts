import { domainToASCII } from "node:url";

/** Lengths by RFC 5321 §4.5.3.1, in bytes; a path is at most 256 with its two angle brackets. */
const LOCAL_PART_MAX_BYTES = 64;
const DOMAIN_MAX_BYTES = 255;
const EMAIL_MAX_BYTES = 254;

/** A dot-atom (RFC 5322 §3.2.3). */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** No domain contains these, and the URL parser would misread them. */
const NO_DOMAIN = /[\s%/\\?#:@[\]<>"]/;

/**
 * The canonical form of a login, for sign-in, look-up, uniqueness, limits and tags. Logins are ASCII; anything else has
 * no canonical form, as Unicode's lower case would make `İ` (U+0130) an `i`.
 */
export function foldLogin(login: string): string | undefined {
  return /^[A-Za-z0-9]+$/.test(login) ? login.toLowerCase() : undefined;
}

/** The canonical form of a handle. Handles and logins share one name space. */
export function foldHandle(handle: string): string | undefined {
  return /^[A-Za-z0-9_-]+$/.test(handle) ? handle.toLowerCase() : undefined;
}

/** The key of an account for sign-in and limits: a login or an email. Other text is returned unchanged. */
export function foldName(loginOrEmail: string): string {
  return loginOrEmail.includes("@") ? folded(loginOrEmail) : foldLogin(loginOrEmail) ?? loginOrEmail;
}

/**
 * The form in which an address is stored and sent to: the domain in ASCII (RFC 5890) and lower case, the local part
 * unchanged. Undefined if it is no address.
 */
export function canonicalEmail(email: string): string | undefined {
  const at = email.lastIndexOf("@");
  const local = email.slice(0, Math.max(at, 0));
  if (local.length > LOCAL_PART_MAX_BYTES || !LOCAL_PART.test(local)) return undefined;
  const domain = asciiDomain(email.slice(at + 1));
  if (domain === undefined || local.length + 1 + domain.length > EMAIL_MAX_BYTES) return undefined;
  return `${local}@${domain}`;
}

/** The canonical form of an email: equal for two spellings of one address. */
export function foldEmail(email: string): string | undefined {
  // All of it is ASCII here.
  return canonicalEmail(email)?.toLowerCase();
}

/** Whether two spellings mean the same address. */
export function sameEmail(one: string, other: string): boolean {
  return folded(one) === folded(other);
}

/** For stored addresses: one that an older rule accepted is folded as far as possible. */
export function folded(email: string): string {
  return foldEmail(email) ?? email.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function asciiDomain(given: string): string | undefined {
  if (NO_DOMAIN.test(given)) return undefined;
  const domain = domainToASCII(given).toLowerCase();
  if (domain.length > DOMAIN_MAX_BYTES) return undefined;
  const labels = domain.split(".");
  if (labels.length < 2 || !labels.every((label) => LABEL.test(label))) return undefined;
  // An IP address, which `domainToASCII` also builds from other spellings of numbers.
  return /^\d+$/.test(labels.at(-1)!) ? undefined : domain;
}
