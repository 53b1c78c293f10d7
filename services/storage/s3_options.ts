export interface S3Options {
  /** Without a slash at its end, such as `https://s3.example.org:9000`. */
  endpoint: string;
  bucket: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Before every key in the bucket; empty, or ended by a slash. */
  prefix: string;
}

const FORM = "s3://ACCESS:SECRET@host:port/bucket?region=…&prefix=…&tls=false";

/**
 * Reads `s3://ACCESS:SECRET@host:port/bucket`, or the same with `https:` or `http:`. In the query: `region` (`us-east-1`
 * where it is missing), `prefix`, a folder in the bucket, and `tls=false` for `s3:` without TLS. A secret with `/`, `+` or
 * `@` is percent-encoded. Messages never quote the secret.
 */
export function parseS3Url(text: string): S3Options {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !["s3:", "https:", "http:"].includes(url.protocol)) throw broken("is not such an address");
  if (url.host === "") throw broken("names no host");
  if (url.username === "" || url.password === "") throw broken("lacks the access key or the secret");
  const [bucket = "", ...more] = url.pathname.slice(1).replace(/\/$/, "").split("/");
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) || more.length > 0) {
    throw broken("names no bucket, or has more after it; is a slash in the secret not encoded?");
  }
  for (const name of url.searchParams.keys()) {
    if (!["region", "prefix", "tls"].includes(name)) throw broken(`has "${name}" in its query, which means nothing`);
  }
  const tls = url.searchParams.get("tls") ?? String(url.protocol !== "http:");
  if (tls !== "true" && tls !== "false") throw broken(`says tls=${tls}, where true or false is expected`);
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
  return new Error(`S3_URL ${what}; it reads ${FORM}`);
}
