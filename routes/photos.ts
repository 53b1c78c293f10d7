import { z } from "zod";
import { photoByKey, type ShownPhoto } from "../db/photos.ts";
import type { AppContext } from "../context.ts";
import { AppError } from "../lib/errors.ts";
import { type ByteRange, StorageError } from "../services/storage/storage.ts";
import { type Answer, answer } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { etagOf, matches } from "./http/etag.ts";
import { isHead } from "./http/head.ts";
import { noPhotoCookie, photoCookie, photoViewers } from "./http/photo_cookie.ts";

const tags = ["Photos"];
const TYPES: Record<string, string> = { jpeg: "image/jpeg", webp: "image/webp" };
const key = z.string().regex(/^[A-Za-z0-9_-]{22}$/);
/** How long caches keep a public photo without revalidation (`docs/limits.md`). */
const OPEN_FOR_S = 60;

export function photoRoutes(api: Api): void {
  for (const path of ["/photos/{key}", "/photos/{key}/{width}"] as const) {
    const variant = path.endsWith("{width}");
    endpoint(api, {
      method: "get",
      path,
      access: "optional",
      pictures: true,
      summary: variant ? "A photo in a smaller size" : "A photo at its full size",
      tags,
      params: z.object({ key, ...(variant && { width: z.enum(["1080", "320"]) }) }) as z.ZodObject<{ key: typeof key }>,
      answers: {
        200: {
          description: "The picture; photos of public pages may be cached for a minute",
          binary: Object.values(TYPES),
        },
        206: { description: "The requested range", binary: Object.values(TYPES) },
        304: { description: "Not changed since the ETag given" },
        416: { description: "The range does not exist" },
      },
    }, async ({ ctx, caller, params, request }) => {
      const viewers = caller ? [caller.id] : await photoViewers(ctx, request);
      const photo = await seenByAny(ctx, viewers, params.key);
      const width = (params as { width?: string }).width;
      if (!photo || (width !== undefined && !photo.variants.includes(Number(width)))) {
        throw new AppError("not-found", "The photo does not exist");
      }
      return await shown(ctx, request, photo, width === undefined ? params.key : `${params.key}.${width}`);
    });
  }

  endpoint(api, {
    method: "put",
    path: "/photos/cookie",
    access: "signed-in",
    summary: "For browsers: set a cookie for this account's pictures, valid as long as an access token and its session",
    tags,
    answers: { 204: { description: "The cookie is set" } },
  }, ({ ctx, caller, secure }) => answer(204, undefined, { "set-cookie": photoCookie(ctx, caller, secure) }));

  endpoint(api, {
    method: "delete",
    path: "/photos/cookie",
    access: "signed-in",
    summary: "Remove this account's cookie for pictures; it also ends with the session",
    tags,
    answers: { 204: { description: "The cookie is removed" } },
  }, ({ caller, secure }) => answer(204, undefined, { "set-cookie": noPhotoCookie(caller, secure) }));
}

/** If several people are signed in in one browser, each sees what they may see. */
async function seenByAny(ctx: AppContext, viewers: string[], key: string): Promise<ShownPhoto | undefined> {
  for (const viewer of viewers.length > 0 ? viewers : [null]) {
    const photo = await photoByKey(ctx.sql, viewer, key);
    if (photo) return photo;
  }
  return undefined;
}

/** A key's content never changes, so its ETag needs no read of the file. */
async function shown(ctx: AppContext, request: Request, photo: ShownPhoto, file: string): Promise<Answer> {
  const etag = etagOf(file);
  const headers: Record<string, string> = {
    "content-type": TYPES[photo.format] ?? "application/octet-stream",
    "cache-control": photo.open ? `public, max-age=${OPEN_FOR_S}` : "private, no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "accept-ranges": "bytes",
    etag,
    ...(photo.open ? {} : { vary: "Authorization, Cookie" }),
  };
  if (matches(request.headers.get("if-none-match") ?? undefined, etag)) return { status: 304, headers, stream: null };
  try {
    if (isHead(request)) {
      const object = await ctx.storage.head(file);
      if (!object) throw missing(file);
      return { status: 200, headers: { ...headers, "content-length": String(object.size) }, stream: null };
    }
    const wanted = request.headers.has("if-range") ? undefined : rangeOf(request.headers.get("range"));
    const found = await ctx.storage.get(file, wanted);
    if (!found) throw missing(file);
    const { object, body, range } = found;
    if (!range) return { status: 200, headers: { ...headers, "content-length": String(object.size) }, stream: body };
    return { status: 206, headers: { ...headers, ...partOf(range, object.size) }, stream: body };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (error.kind === "range") {
      const size = (await ctx.storage.head(file).catch(() => undefined))?.size ?? "*";
      return {
        status: 416,
        headers: { ...headers, "content-type": "text/plain", "content-range": `bytes */${size}` },
        stream: null,
      };
    }
    throw new AppError("storage-unavailable", undefined, { retryAfter: 1, cause: error });
  }
}

/** The database knows the file, so the storage has lost it. A scrub reports it. */
function missing(file: string): AppError {
  return new AppError("storage-unavailable", undefined, {
    cause: new Error(`The file "${file}" is missing`),
    retryAfter: 60,
  });
}

function partOf({ start, end }: ByteRange, size: number): Record<string, string> {
  return { "content-range": `bytes ${start}-${end}/${size}`, "content-length": String(end - start + 1) };
}

/** One range from its start. For other forms (RFC 9110 §14.1.2) the whole file is sent. */
function rangeOf(header: string | null): { start: number; end?: number } | undefined {
  const [, start, end] = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(header ?? "") ?? [];
  if (start === undefined || (end !== undefined && Number(end) < Number(start))) return undefined;
  return { start: Number(start), ...(end !== undefined && { end: Number(end) }) };
}
