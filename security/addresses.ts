/**
 * Network addresses of callers. Headers about addresses are trusted only from trusted proxies. Everything that counts
 * by address uses `addressKey`.
 */
import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
export type AddressRange = readonly [Address, number];

/** The origin of a request. */
export interface Origin {
  /** The `addressKey` of the caller. */
  address: string;
  /** Whether people reach this server over TLS. */
  secure: boolean;
}

/** A longer header of proxies is ignored (`docs/limits.md`). */
const MAX_FORWARDED_LENGTH = 4_096;
/** The bits of an IPv6 address that belong to a site. The site chooses the rest (RFC 6177). */
const SITE_BITS = 64;
const NAT64: AddressRange = [ipaddr.IPv6.parse("64:ff9b::"), 96];

/** Parsed addresses that are kept, since the same callers come again and again, and the longest text of one. */
const MAX_PARSED = 4_096;
const MAX_PARSED_LENGTH = 64;
const parsed = new Map<string, Address | undefined>();

/**
 * An address, possibly with a port or in brackets; a zone is dropped. An IPv4 address in IPv6 form becomes IPv4.
 * Undefined for anything else.
 */
export function parseAddress(text: string): Address | undefined {
  const known = parsed.get(text);
  if (known !== undefined || parsed.has(text)) return known;
  const address = parse(text);
  if (text.length > MAX_PARSED_LENGTH) return address;
  if (parsed.size >= MAX_PARSED) parsed.clear();
  parsed.set(text, address);
  return address;
}

function parse(text: string): Address | undefined {
  const [, bracketed, dotted] = /^\[([^\]]+)\](?::\d{1,5})?$|^([\d.]+)(?::\d{1,5})?$/.exec(text) ?? [];
  if (dotted !== undefined) {
    return ipaddr.IPv4.isValidFourPartDecimal(dotted) ? ipaddr.IPv4.parse(dotted) : undefined;
  }
  const [bare = ""] = (bracketed ?? text).split("%");
  return ipaddr.IPv6.isValid(bare) ? asIpv4(ipaddr.IPv6.parse(bare)) : undefined;
}

/**
 * The key by which an address is counted: IPv4 in full, IPv6 by its /64. Other text, as for a local socket, is
 * unchanged.
 */
export function addressKey(text: string): string {
  const address = parseAddress(text);
  if (address === undefined) return text;
  if (address instanceof ipaddr.IPv4) return address.toString();
  const parts = address.parts.map((part, i) => i < SITE_BITS / 16 ? part : 0);
  return `${new ipaddr.IPv6(parts).toRFC5952String()}/${SITE_BITS}`;
}

/** An address, or a range as in `10.0.0.0/8`; undefined otherwise. */
export function parseRange(text: string): AddressRange | undefined {
  const [, base = "", bits] = /^([\da-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const isIpv6 = base.includes(":");
  // Not by `parseAddress`: a setting has no port, and the bits of a mapped range count from its own start.
  if (!(isIpv6 ? ipaddr.IPv6.isValid(base) : ipaddr.IPv4.isValidFourPartDecimal(base))) return undefined;
  const address = isIpv6 ? ipaddr.IPv6.parse(base) : ipaddr.IPv4.parse(base);
  const length = isIpv6 ? 128 : 32;
  const prefix = bits === undefined ? length : Number(bits);
  if (prefix > length) return undefined;
  const unmapped = address instanceof ipaddr.IPv6 ? asIpv4(address) : address;
  return unmapped.kind() === address.kind() || prefix < 96 ? [address, prefix] : [unmapped, prefix - 96];
}

function asIpv4(address: ipaddr.IPv6): Address {
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  // A NAT64 network presents IPv4 callers in this form (RFC 6052).
  if (address.match(NAT64[0] as ipaddr.IPv6, NAT64[1])) return new ipaddr.IPv4(address.toByteArray().slice(12));
  return address;
}

/** The proxies of `TRUSTED_PROXIES` and the headers they send. */
export class TrustedProxies {
  constructor(private readonly ranges: readonly AddressRange[], private readonly publicUrl?: string) {}

  /**
   * The address of the caller: the nearest one that is not a trusted proxy. `Forwarded` or `X-Forwarded-For` is read
   * from the right, where the nearest proxy writes. The walk ends at the last trusted hop if an entry is malformed or
   * the two headers disagree: a proxy writes one of them and passes the other on as the caller sent it.
   */
  callerOf(headers: Headers, peer: string): string {
    if (!this.trusts(peer)) return peer;
    const said = [forwarded(headers)?.map((element) => element.get("for")), forwardedFor(headers)];
    const found = said.filter((hops) => hops !== undefined).map((hops) => this.#walk(hops, peer));
    return found.every((address) => address === found[0]) ? found[0] ?? peer : peer;
  }

  /** The key of the caller, and whether it came over TLS. */
  origin(headers: Headers, peer: string): Origin {
    return { address: addressKey(this.callerOf(headers, peer)), secure: this.isSecure(headers, peer) };
  }

  /** Whether `PUBLIC_URL` or a trusted proxy indicates TLS. */
  isSecure(headers: Headers, peer: string): boolean {
    if (this.publicUrl?.startsWith("https:")) return true;
    if (!this.trusts(peer)) return false;
    const [proto] = (headers.get("x-forwarded-proto") ?? "").split(",").slice(-1);
    return [proto, forwarded(headers)?.at(-1)?.get("proto")].some((said) => said?.trim().toLowerCase() === "https");
  }

  trusts(address: string): boolean {
    const parsed = parseAddress(address);
    return parsed !== undefined &&
      this.ranges.some(([base, bits]) => parsed.kind() === base.kind() && parsed.match(base, bits));
  }

  #walk(hops: (string | undefined)[], peer: string): string {
    let nearest = peer;
    for (let i = hops.length - 1; i >= 0 && this.trusts(nearest); i--) {
      const address = parseAddress(hops[i] ?? "");
      if (address === undefined) break;
      nearest = address.toString();
    }
    return nearest;
  }
}

function forwardedFor(headers: Headers): string[] | undefined {
  const text = headers.get("x-forwarded-for");
  if (text === null) return undefined;
  return text.length > MAX_FORWARDED_LENGTH ? [] : text.split(",").map((hop) => hop.trim());
}

/** The elements of `Forwarded` (RFC 7239 §4), each with its pairs by lower-case name; undefined if malformed. */
function forwarded(headers: Headers): Map<string, string>[] | undefined {
  const text = headers.get("forwarded");
  if (text === null) return undefined;
  if (text.length > MAX_FORWARDED_LENGTH) return [];
  const elements = [new Map<string, string>()];
  // White space can match in one place only: with two, a long run takes quadratic time.
  const step = /\s*(?:([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([\w!#$%&'*+.^`|~:[\]-]*))\s*)?([;,]|$)/y;
  while (step.lastIndex < text.length) {
    const match = step.exec(text);
    if (!match) return [];
    const [, name, quoted, token, end] = match;
    if (name !== undefined) {
      elements.at(-1)!.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, "$1") ?? token ?? "");
    }
    if (end === ",") elements.push(new Map());
  }
  return elements;
}
