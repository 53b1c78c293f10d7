/**
 * Browsers request pictures without a token, so a cookie replaces it. Its value is signed for pictures only and is
 * valid while its session lasts. Each account has its own cookie name, so that people signed in side by side in one
 * browser do not overwrite each other's.
 */
import type { AppContext } from "../../context.ts";
import type { Caller } from "../../actors/account_cache.ts";
import { isBlocked } from "../../db/blocks.ts";
import { PREFIX } from "./endpoint.ts";

const NAME = "rookery_photos_";
const PURPOSE = "photo-cookie";
const COOKIE = /^rookery_photos_([0-9a-f-]{36})=([0-9a-f-]{36})\.(\d{1,12})\.([\w-]{43})$/;
/** Cookies examined per request (`docs/limits.md`). */
const MAX_ACCOUNTS = 8;

/** `Set-Cookie` for the caller's pictures. It expires with the access token and has to be renewed. */
export function photoCookie({ config, secret }: AppContext, { id, sid }: Caller, secure: boolean): string {
  const age = Math.ceil(config.ACCESS_TOKEN_TTL / 1000);
  const expires = String(Math.floor(Date.now() / 1000) + age);
  return cookie(id, `${sid}.${expires}.${secret.mac(PURPOSE, signed(id, sid, expires))}`, age, secure);
}

export function noPhotoCookie({ id }: Caller, secure: boolean): string {
  return cookie(id, "", 0, secure);
}

function cookie(id: string, value: string, age: number, secure: boolean): string {
  const onlyTls = secure ? "; Secure" : "";
  return `${NAME}${id}=${value}; Path=${PREFIX}/photos; Max-Age=${age}; HttpOnly; SameSite=Strict${onlyTls}`;
}

/** The accounts of all valid cookies of a request. */
export async function photoViewers(ctx: AppContext, request: Request): Promise<string[]> {
  const sent = (request.headers.get("cookie") ?? "").split(/; */).filter((pair) => pair.startsWith(NAME));
  const viewers = await Promise.all(sent.slice(-MAX_ACCOUNTS).map((pair) => viewerOf(ctx, pair)));
  return viewers.filter((id) => id !== undefined);
}

async function viewerOf({ secret, accounts }: AppContext, pair: string): Promise<string | undefined> {
  const [, id = "", sid = "", expires = "", mark = ""] = COOKIE.exec(pair) ?? [];
  if (!secret.macMatches(PURPOSE, signed(id, sid, expires), mark) || Number(expires) * 1000 <= Date.now()) {
    return undefined;
  }
  const snapshot = await accounts.snapshot(id);
  return snapshot?.session?.id === sid && !isBlocked(snapshot, Date.now()) ? id : undefined;
}

function signed(id: string, sid: string, expires: string): string {
  return `${id} ${sid} ${expires}`;
}
