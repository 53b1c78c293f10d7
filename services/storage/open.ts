import { RestStorage } from "./rest_storage.ts";
import { parseS3Url } from "./s3_options.ts";
import { S3Storage } from "./s3_storage.ts";
import type { Storage } from "./storage.ts";

/** Plain JSON, so that it can be passed to another process. It contains the credentials. */
export type StorageSpec = { kind: "rest"; url: string; token: string } | { kind: "s3"; url: string };

/** Connects at the first call. Throws for an invalid `s3` address. */
export function openStorage(spec: StorageSpec): Storage {
  return spec.kind === "rest" ? new RestStorage(spec) : new S3Storage(parseS3Url(spec.url));
}
