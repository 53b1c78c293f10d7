import type { Secret } from "./secret.ts";

/** Maximum length of the `User-Agent` in an email. */
const SHOWN = 120;

export interface Device {
  /** Distinguishes the devices of one account only. */
  mark: string;
  /** The `User-Agent`, shortened. */
  name: string;
}

/**
 * The device of a sign-in, by its `User-Agent`. Versions are ignored, or every update would be a new device. The
 * network address is ignored, or every train ride would be one.
 */
export function deviceOf(secret: Secret, userId: string, userAgent: string | null): Device {
  // deno-lint-ignore no-control-regex -- headers come from outside
  const said = (userAgent ?? "").replaceAll(/[\0-\x1f\x7f]/g, " ").trim();
  const name = said === "" ? "An unknown device" : said.slice(0, SHOWN);
  return { mark: secret.mac("device", `${userId}\n${said.replaceAll(/[\d._]+/g, "")}`), name };
}
