export interface S3Options {
  /** Without a trailing slash, such as `https://s3.example.org:9000`. */
  endpoint: string;
  bucket: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Prefix of every key in the bucket; empty, or with a trailing slash. */
  prefix: string;
}

const FORM = "s3://ACCESS:SECRET@host:port/bucket?region=…&prefix=…&tls=false";

/**
 * Parses `s3://ACCESS:SECRET@host:port/bucket`, or the same with `https:` or `http:`. Query: `region` (default
 * `us-east-1`), `prefix`, a folder in the bucket, and `tls=false` for `s3:` without TLS. A secret with `/`, `+` or `@`
 * is percent-encoded. Messages never quote the secret.
 */
export function parseS3Url(text: string): S3Options {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !["s3:", "https:", "http:"].includes(url.protocol)) throw broken("is not a valid address");
  if (url.host === "") throw broken("has no host");
  if (url.username === "" || url.password === "") throw broken("lacks the access key or the secret");
  const [bucket = "", ...more] = url.pathname.slice(1).replace(/\/$/, "").split("/");
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) || more.length > 0) {
    throw broken("has no bucket, or more after it; a slash in the secret must be encoded");
  }
  for (const name of url.searchParams.keys()) {
    if (!["region", "prefix", "tls"].includes(name)) throw broken(`has the unknown parameter "${name}"`);
  }
  const tls = url.searchParams.get("tls") ?? String(url.protocol !== "http:");
  if (tls !== "true" && tls !== "false") throw broken(`has tls=${tls}, expected true or false`);
  const prefix = (url.searchParams.get("prefix") ?? "").replace(/^\/+|\/+$/g, "");
  if (!/^[A-Za-z0-9._/-]*$/.test(prefix)) throw broken("has a prefix with other characters than A-Z a-z 0-9 . _ - /");
  return {
    endpoint: `${tls === "true" ? "https" : "http"}://${url.host}`,
    bucket,
    region: url.searchParams.get("region") || "us-east-1",
    accessKeyId: decoded(url.username),
    secretAccessKey: decoded(url.password),
    prefix: prefix && `${prefix}/`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw broken("has a key or secret that is not percent-encoded");
  }
}

function broken(what: string): Error {
  return new Error(`S3_URL ${what}; expected ${FORM}`);
}
