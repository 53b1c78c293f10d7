import { domainToASCII } from "node:url";

/** Lengths by RFC 5321 §4.5.3.1, in bytes; a path is at most 256 with its two angle brackets. */
const LOCAL_PART_MAX_BYTES = 64;
const DOMAIN_MAX_BYTES = 255;
const EMAIL_MAX_BYTES = 254;

/** A dot-atom (RFC 5322 §3.2.3). */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** No domain is written so, and the URL parser would take them for something else. */
const NO_DOMAIN = /[\s%/\\?#:@[\]<>"]/;

/**
 * The one folding of logins, for sign-in, look-up, uniqueness, limits and tags. Logins are ASCII, so anything else is nobody's login and has no
 * folding: Unicode's lower case would make `İ` (U+0130) an `i`.
 */
export function foldLogin(login: string): string | undefined {
  return /^[A-Za-z0-9]+$/.test(login) ? login.toLowerCase() : undefined;
}

/** The same of handles, which share one name space with logins. */
export function foldHandle(handle: string): string | undefined {
  return /^[A-Za-z0-9_-]+$/.test(handle) ? handle.toLowerCase() : undefined;
}

/** What sign-in and limits know an account by: a login or an e-mail. One that can be neither stands for itself. */
export function foldName(loginOrEmail: string): string {
  return loginOrEmail.includes("@") ? folded(loginOrEmail) : foldLogin(loginOrEmail) ?? loginOrEmail;
}

/**
 * The one form in which an address is stored and sent to: the domain in ASCII (RFC 5890) and lower case, the local part as it was
 * given. Undefined for what is no address.
 */
export function canonicalEmail(email: string): string | undefined {
  const at = email.lastIndexOf("@");
  const local = email.slice(0, Math.max(at, 0));
  if (local.length > LOCAL_PART_MAX_BYTES || !LOCAL_PART.test(local)) return undefined;
  const domain = asciiDomain(email.slice(at + 1));
  if (domain === undefined || local.length + 1 + domain.length > EMAIL_MAX_BYTES) return undefined;
  return `${local}@${domain}`;
}

/** The one folding of e-mails: what two spellings of one address have in common. */
export function foldEmail(email: string): string | undefined {
  // Everything in it is ASCII by now.
  return canonicalEmail(email)?.toLowerCase();
}

/** Whether two spellings mean one address. */
export function sameEmail(one: string, other: string): boolean {
  return folded(one) === folded(other);
}

/** For addresses that are stored already: one that an older rule took is folded as far as it can be. */
export function folded(email: string): string {
  return foldEmail(email) ?? email.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function asciiDomain(given: string): string | undefined {
  if (NO_DOMAIN.test(given)) return undefined;
  const domain = domainToASCII(given).toLowerCase();
  if (domain.length > DOMAIN_MAX_BYTES) return undefined;
  const labels = domain.split(".");
  if (labels.length < 2 || !labels.every((label) => LABEL.test(label))) return undefined;
  // An address of a machine, which `domainToASCII` also spells out of other numbers.
  return /^\d+$/.test(labels.at(-1)!) ? undefined : domain;
}
