/**
 * The process of `s3_server.ts`: fauxqs, which looks at no signature, behind a door that holds each request's against
 * the secret. Its arguments are the port, the access key id and the secret.
 */
import { buildApp } from "../packages/fauxqs.ts";
import { refusal } from "./s3_signature.ts";

const [port, accessKeyId = "", secretAccessKey = ""] = Deno.args;
/** Of the connection, or of the door alone. */
const LEFT_OUT = ["authorization", "connection", "content-length", "host", "transfer-encoding"];

const behind = await buildApp({ logger: false }).listen({ host: "127.0.0.1", port: 0 });
await (await fetch(`${behind}/photos`, { method: "PUT" })).body?.cancel();

Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen: () => {} }, async (request) => {
  const body = new Uint8Array(await request.arrayBuffer());
  const refused = await refusal(request, body, { accessKeyId, secretAccessKey });
  if (refused) {
    const error = `<Error><Code>${refused.code}</Code><Message>${refused.message}</Message></Error>`;
    return new Response(error, { status: 403, headers: { "content-type": "application/xml" } });
  }
  const { pathname, search } = new URL(request.url);
  const headers = new Headers(request.headers);
  for (const name of LEFT_OUT) headers.delete(name);
  return await fetch(behind + pathname + search, {
    method: request.method,
    headers,
    redirect: "manual",
    ...(["GET", "HEAD"].includes(request.method) ? {} : { body: body.byteLength > 0 ? body : chunked(body) }),
  });
});

/** An empty body of a known length is none to fauxqs, and no object to put. */
function chunked(body: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Blob([body]).stream();
}
