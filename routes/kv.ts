import { z } from "zod";
import type { ServiceContext } from "../context.ts";
import { decodeCursor, encodeCursor, type List, listAbout, wrongCursor } from "../contract/cursors.ts";
import { deletePairs, listKeys, SHARED_SPACE, writeIfVersion } from "../db/kv.ts";
import { AppError } from "../lib/errors.ts";
import * as bodies from "../services/kv/bodies.ts";
import { PairCache } from "../services/kv/pair_cache.ts";
import { PairWriter } from "../services/kv/pair_writer.ts";
import type { Caller } from "../actors/account_cache.ts";
import { answer, answerText, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";

const tags = ["Key–value store"];
/** Bytes of the values in one answer (`docs/limits.md`). */
const MAX_ANSWER_BYTES = bodies.MAX_KV_BODY_BYTES;
/** The length of a cursor with the longest key. */
const MAX_CURSOR_LENGTH = 8_256;
const bodyBound = bodies.MAX_KV_BODY_BYTES;
const Done = z.object({ status: z.literal("success"), ignored: z.array(z.string()) });
const Key = z.object({
  key: z.string(),
  version: z.int(),
  bytes: z.int().meta({ description: "Size of the value as written" }),
  expires_at: z.iso.datetime().nullable(),
});

const WriteBody = z.strictObject({
  data: bodies.pairs,
  space: bodies.space,
  mode: z.enum(["skip", "overwrite"]).optional().meta({
    description: "What to do with existing keys; `skip` by default",
  }),
  if_version: bodies.versions.optional(),
  ttl_s: bodies.ttl.optional(),
}).superRefine(({ data, mode, if_version: versions }, context) => {
  if (!versions) return;
  const complain = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  if (mode) complain(["mode"], "Expected no mode beside if_version");
  const keys = new Set(data.keys);
  for (const key of keys) {
    if (!versions.has(key)) complain(["if_version", key], "Expected a version for each key of data");
  }
  for (const key of versions.keys()) {
    if (!keys.has(key)) complain(["data", key], "Expected a value for each key of if_version");
  }
});

export function kvRoutes<C extends ServiceContext>(api: Api<C>): void {
  readRoute(api, new PairCache(api.ctx.sql));
  writeRoute(api, new PairWriter(api.ctx.sql));
  deleteRoute(api);
  keyListRoute(api);
}

function readRoute<C extends ServiceContext>(api: Api<C>, kept: PairCache): void {
  endpoint(api, {
    method: "post",
    path: "/kv/read",
    access: "signed-in",
    summary: "Read the values of keys: all of them, or an error if one does not exist",
    tags,
    bodyBound,
    parse: bodies.parseKeys,
    body: z.strictObject({ keys: bodies.keys, space: bodies.space, versions: z.boolean().default(false) }),
    answers: {
      200: {
        description: "The values and, if requested, their versions",
        schema: z.object({
          data: z.record(z.string(), z.unknown()),
          versions: z.record(z.string(), z.int()).optional(),
        }),
      },
    },
  }, async ({ caller, body: { keys, space, versions } }) => {
    refuseRepeated(keys);
    const options = { maxBytes: MAX_ANSWER_BYTES, versions };
    const { pairs, versions: found, lengths } = await kept.read(spaceOf(caller, space), keys, options);
    if (pairs === null) throw unreadable(keys, new Map(lengths));
    // Sent as stored: parsing would round large numbers.
    return answerText(200, `{"data":{${pairs}}${found === null ? "" : `,"versions":{${found}}`}}`, null);
  });
}

function writeRoute<C extends ServiceContext>(api: Api<C>, writer: PairWriter): void {
  endpoint(api, {
    method: "post",
    path: "/kv/write",
    access: "signed-in",
    summary: "Write pairs; by default existing keys stay unchanged and are listed",
    tags,
    creates: true,
    bodyBound,
    parse: bodies.parsePairs,
    body: WriteBody,
    answers: {
      201: { description: "Written, except for the ignored keys, which stay unchanged", schema: Done },
    },
  }, async ({ ctx, caller, body, receipt }) => {
    if (receipt?.result) return answer(201, { status: "success", ...receipt.result });
    const { data: { keys, values }, mode, if_version: versions, ttl_s: ttlS = null } = body;
    const batch = { space: spaceOf(caller, body.space), keys, values, ttlS, receipt: receipt?.id };
    const written = versions
      ? await writeIfVersion(ctx.sql, batch, keys.map((key) => versions.get(key)!))
      : await writer.write(batch, mode === "overwrite");
    if (written.gone) throw new AppError("token-invalid");
    // The first request is about to answer; a retry gets its answer.
    if (written.repeated) throw new AppError("idempotency-key-running", undefined, { retryAfter: 1 });
    if (written.changed.length > 0) throw conflict(written.changed);
    return answer(201, { status: "success", ignored: written.ignored });
  });
}

function deleteRoute<C extends ServiceContext>(api: Api<C>): void {
  endpoint(api, {
    method: "post",
    path: "/kv/delete",
    access: "signed-in",
    summary: "Delete keys; missing ones are listed and are not an error",
    tags,
    bodyBound,
    parse: bodies.parseKeys,
    body: z.strictObject({ keys: bodies.keys, space: bodies.space }),
    answers: { 200: { description: "Deleted, except for the ignored keys, which did not exist", schema: Done } },
  }, async ({ ctx, caller, body: { keys, space } }) => {
    refuseRepeated(keys);
    const deleted = new Set(await deletePairs(ctx.sql, spaceOf(caller, space), keys));
    return answer(200, { status: "success", ignored: keys.filter((key) => !deleted.has(key)) });
  });
}

function keyListRoute<C extends ServiceContext>(api: Api<C>): void {
  endpoint(api, {
    method: "get",
    path: "/kv/keys",
    access: "signed-in",
    summary: "List keys by prefix, in byte order",
    tags,
    query: z.strictObject({
      ...paging,
      cursor: z.string().min(1).max(MAX_CURSOR_LENGTH).optional(),
      prefix: bodies.prefix,
      space: bodies.space,
    }),
    answers: { 200: { description: "Keys", schema: listOf(Key) } },
  }, async ({ ctx, caller, query: { limit, cursor, prefix, space } }) => {
    const owner = spaceOf(caller, space);
    const list = listAbout("kv.keys", owner, prefix);
    const after = cursor === undefined ? undefined : keyIn(list, cursor);
    const rows = await listKeys(ctx.sql, owner, { prefix, after, limit: limit + 1 });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return answer(200, {
      items,
      next_cursor: rows.length > limit && last ? encodeCursor(list, [last.key]) : null,
    });
  });
}

function spaceOf(caller: Caller, space: "own" | "shared"): string {
  return space === "shared" ? SHARED_SPACE : caller.id;
}

function refuseRepeated(keys: readonly string[]): void {
  bodies.refuseRepeated(keys, (_, i) => `keys.${i}`);
}

/** The problem of keys that cannot be read: some do not exist, or together they are too long for one answer. */
function unreadable(keys: readonly string[], lengths: ReadonlyMap<string, number>): AppError {
  const missing = keys.flatMap((key, i) =>
    lengths.has(key) ? [] : [{ path: `keys.${i}`, rule: "exists", message: `No such key: ${bodies.quoted(key)}` }]
  );
  if (missing.length > 0) return new AppError("keys-not-found", undefined, { errors: missing });
  let bytes = 0;
  const over = keys.findIndex((key) => (bytes += lengths.get(key)!) > MAX_ANSWER_BYTES);
  const message = `Up to the key ${
    bodies.quoted(keys[over]!)
  } the values take ${bytes} bytes; expected at most ${MAX_ANSWER_BYTES} in one answer`;
  return new AppError("validation", undefined, { errors: [{ path: `keys.${over}`, rule: "too_big", message }] });
}

function conflict(keys: readonly string[]): AppError {
  const errors = keys.map((key) => ({
    path: `if_version.${key}`,
    rule: "version",
    message: `The key ${bodies.quoted(key)} has another version or does not exist`,
  }));
  return new AppError("version-conflict", undefined, { errors });
}

/** The last key of the previous page. Throws `invalid-cursor`. */
function keyIn(list: List, cursor: string): string {
  const [key] = decodeCursor(list, cursor, [/^[^\0]*$/]);
  if (!key!.isWellFormed()) throw wrongCursor();
  return key!;
}
