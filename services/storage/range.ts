import { type ByteRange, type RangeRequest, StorageError } from "./storage.ts";

/** The requested part of an object of `size` bytes. Throws `range` if there is none (RFC 9110 §14.1.2). */
export function resolveRange(request: RangeRequest, size: number): ByteRange {
  const start = "suffix" in request ? Math.max(0, size - request.suffix) : request.start;
  const end = "suffix" in request ? size - 1 : Math.min(request.end ?? size - 1, size - 1);
  if (!(start >= 0 && start <= end)) throw new StorageError("range", `The range contains none of the ${size} bytes`);
  return { start, end };
}

/**
 * A `Range` header with one range; `undefined` for what may be ignored: other units, several ranges, or an invalid one.
 */
export function parseRange(header: string | undefined): RangeRequest | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(header?.trim() ?? "") ?? [];
  if (first === undefined || last === undefined) return;
  if (first === "") return last === "" ? undefined : { suffix: Number(last) };
  if (last === "") return { start: Number(first) };
  return Number(first) <= Number(last) ? { start: Number(first), end: Number(last) } : undefined;
}

export function renderRange(request: RangeRequest): string {
  return "suffix" in request ? `bytes=-${request.suffix}` : `bytes=${request.start}-${request.end ?? ""}`;
}

/** The range in a `Content-Range` header. */
export function parseContentRange(header: string | null): (ByteRange & { size: number }) | undefined {
  const [, start, end, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header ?? "") ?? [];
  return size === undefined ? undefined : { start: Number(start), end: Number(end), size: Number(size) };
}
