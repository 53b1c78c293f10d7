import aws4 from "../packages/aws4.ts";

export interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface Refusal {
  code: string;
  message: string;
}

const REGION = "us-east-1";
const SKEW_MS = 15 * 60_000;

/**
 * Why S3 would refuse this request, by Signature Version 4 in its `Authorization` header as aws4 computes it; undefined
 * where it would not. A body that is not the announced one has a code of its own there.
 */
export async function refusal(
  request: Request,
  body: Uint8Array<ArrayBuffer>,
  keys: Keys,
): Promise<Refusal | undefined> {
  const { method, headers, url } = request;
  const { accessKeyId, names, signature } = parse(headers.get("authorization") ?? "");
  if (accessKeyId !== keys.accessKeyId) {
    return { code: "InvalidAccessKeyId", message: "The access key id does not exist" };
  }
  const date = headers.get("x-amz-date") ?? "";
  if (!(Math.abs(Date.now() - instant(date)) <= SKEW_MS)) {
    return { code: "RequestTimeTooSkewed", message: `"${date}" is not within 15 minutes of now` };
  }
  const unsigned = required(headers).filter((name) => !names.includes(name));
  if (unsigned.length > 0) return mismatch(`"${unsigned}" are not signed`);
  const { pathname, search } = new URL(url);
  const signing = {
    method,
    path: pathname + search,
    service: "s3",
    region: REGION,
    headers: Object.fromEntries(names.map((name) => [name, headers.get(name) ?? ""])),
    extraHeadersToInclude: Object.fromEntries(names.map((name) => [name, true])),
  };
  const expected = new aws4.RequestSigner(signing, keys).sign();
  if (signature !== parse(String(expected.headers?.Authorization)).signature) {
    return mismatch("The signature is another");
  }
  const announced = headers.get("x-amz-content-sha256");
  if (announced !== "UNSIGNED-PAYLOAD" && announced !== await sha256(body)) return mismatch("The body is another");
}

function parse(authorization: string) {
  const [, accessKeyId = "", names = "", signature = ""] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/[^,]*, ?SignedHeaders=([^,]*), ?Signature=([0-9a-f]{64})$/
      .exec(authorization) ?? [];
  return { accessKeyId, names: names.split(";"), signature };
}

function required(headers: Headers): string[] {
  const amazons = [...headers.keys()].filter((name) => name.startsWith("x-amz-"));
  return [...new Set(["host", "x-amz-content-sha256", "x-amz-date", ...amazons])];
}

function instant(date: string): number {
  return Date.parse(date.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, "$1-$2-$3:$4:$5"));
}

function mismatch(message: string): Refusal {
  return { code: "SignatureDoesNotMatch", message };
}

async function sha256(body: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", body)).toHex();
}
