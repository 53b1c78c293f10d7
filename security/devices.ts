import type { Secret } from "./secret.ts";

/** Characters of a device's own words that a letter shows. */
const SHOWN = 120;

export interface Device {
  /** Tells devices of one account apart, and nothing else. */
  mark: string;
  /** In its own words. */
  name: string;
}

/**
 * What an account is signed in from, as far as it says so itself. Versions are left out, or every update would be a new device; the
 * network address is too, or every train ride would be.
 */
export function deviceOf(secret: Secret, userId: string, userAgent: string | null): Device {
  // deno-lint-ignore no-control-regex -- a header's words are a stranger's
  const said = (userAgent ?? "").replaceAll(/[\0-\x1f\x7f]/g, " ").trim();
  const name = said === "" ? "A device that does not say what it is" : said.slice(0, SHOWN);
  return { mark: secret.mac("device", `${userId}\n${said.replaceAll(/[\d._]+/g, "")}`), name };
}
