/** Readers of settings. Each schema names what it expects; none repeats a value that may be secret. */
import { z } from "zod";
import { email } from "./contract/schemas.ts";
import { type AddressRange, parseRange } from "./security/addresses.ts";
import { parseS3Url } from "./services/storage/s3_options.ts";

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function whole(least: number, most: number) {
  const message = `Expected a whole number from ${least} to ${most}`;
  return z.string().regex(/^\d{1,9}$/, message).transform(Number).refine(
    (value) => value >= least && value <= most,
    message,
  );
}

export function port() {
  return whole(0, 65_535);
}

export function ranges() {
  return z.string().default("").transform((value, context): readonly AddressRange[] => {
    const found = value.split(",").map((text) => text.trim()).filter((text) => text !== "").map((text) => {
      const range = parseRange(text);
      if (!range) {
        const message = `Expected addresses or ranges such as 127.0.0.1 or fd00::/8, and ${
          JSON.stringify(text)
        } is neither`;
        context.addIssue({ code: "custom", message });
      }
      return range;
    });
    return Object.freeze(found.filter((range) => range !== undefined));
  });
}

/** Milliseconds. A duration over a hundred years is rejected as a mistake. */
export function duration() {
  const message = "Expected a duration above zero such as 30m, 48h or 7d";
  return z.string().regex(/^\d{1,12}(ms|s|m|h|d)$/, message).transform((value) => {
    const [, amount, unit] = /^(\d+)(\w+)$/.exec(value)!;
    return Number(amount) * UNITS[unit as keyof typeof UNITS];
  }).refine((ms) => ms > 0 && ms <= 36_525 * UNITS.d, message);
}

export function flag(yes: string, no: string) {
  return z.enum([yes, no], `Expected ${yes} or ${no}`).transform((value) => value === yes);
}

export function url(...protocols: string[]) {
  const message = `Expected a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(" or ")}`;
  return z.string().refine((value) => {
    const parsed = URL.parse(value);
    return parsed !== null && value.includes("://") && parsed.host !== "" &&
      protocols.includes(parsed.protocol.slice(0, -1));
  }, message);
}

/**
 * Tokens are sent there, so unencrypted only to this machine. The `/method` of VK's documentation may be part of it.
 */
export function vkUrl() {
  return url("http", "https").refine((value) => {
    const { protocol, hostname, search, hash } = URL.parse(value) ?? new URL("https://none");
    const near = ["127.0.0.1", "[::1]", "localhost"].includes(hostname);
    return (protocol === "https:" || near) && search === "" && hash === "";
  }, "Expected https, or http at this machine, since tokens go there; and nothing after the path")
    .transform((value) => value.replace(/\/+$/, "").replace(/\/method$/, ""));
}

/** `Name <address>` or an address alone, on one line. */
export function sender() {
  return z.string().refine((value) => {
    if (/[\r\n]/.test(value)) return false;
    return email.safeParse(/^[^<>]*<([^<>]+)>$/.exec(value)?.[1] ?? value).success;
  }, "Expected an email address, or a name and an address as in Rookery <noreply@example.org>");
}

export function s3Url() {
  return z.string().superRefine((value, context) => {
    try {
      parseS3Url(value);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    }
  });
}
