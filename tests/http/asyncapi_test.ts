import assert from "node:assert/strict";
import { addFormats, Ajv2020 } from "../packages/ajv.ts";
import { CLOSE } from "../../live/connection.ts";
import { CLOSE_CODES, FRAMES } from "../../live/frame_schemas.ts";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";

const app = sharedApp();

async function served(): Promise<Json> {
  const { status, headers, body } = await app.call("GET", "/asyncapi.json");
  assert.deepEqual([status, headers.get("content-type")], [200, "application/json"]);
  return body;
}

/** The target of a reference, as a document. */
function followed(document: Json, ref: string): Json {
  return ref.slice(2).split("/").reduce(
    (place, part) => place?.[part.replaceAll("~1", "/").replaceAll("~0", "~")],
    document,
  );
}

function refsIn(value: unknown): string[] {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, part]) =>
    key === "$ref" && typeof part === "string" ? [part] : refsIn(part)
  );
}

Deno.test("The AsyncAPI document is valid for version 3, and every reference resolves", async () => {
  const document = await served();
  const known = ["asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"];
  assert.deepEqual(Object.keys(document).filter((key) => !known.includes(key)), []);
  assert.match(document.asyncapi, /^3\.0\.\d+$/);
  assert.ok(document.info.title && document.info.version);
  for (const ref of refsIn(document)) {
    assert.ok(ref.startsWith("#/") && followed(document, ref) !== undefined, `${ref} does not resolve`);
  }
  const { live } = document.channels;
  assert.equal(live.address, "/api/v1/feed/live");
  const { action, channel, messages } = document.operations.tell;
  assert.deepEqual([action, channel.$ref], ["send", "#/channels/live"]);
  // The messages of an operation refer to those of its channel.
  assert.deepEqual(
    messages.map(({ $ref }: Json) => $ref.split("/").slice(0, -1).join("/")),
    messages.map(() => "#/channels/live/messages"),
  );
});

Deno.test("The AsyncAPI document has every frame and every close code", async () => {
  const document = await served();
  assert.deepEqual(Object.keys(document.channels.live.messages), Object.keys(FRAMES));
  assert.deepEqual(document.channels.live["x-close-codes"], CLOSE_CODES);
  assert.deepEqual(CLOSE_CODES.map(({ code }) => code).sort(), Object.values(CLOSE).sort());
  const text = await Deno.readTextFile(new URL("../../docs/api.md", import.meta.url));
  for (const type of Object.keys(FRAMES)) assert.ok(text.includes(`"${type}"`) || text.includes(`\`${type}\``), type);
  for (const { code } of CLOSE_CODES) assert.ok(text.includes(`| ${code} |`), `docs/api.md has no ${code}`);
});

Deno.test("Sent frames match the document's schemas, and other frames do not", async () => {
  const document = await served();
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  // deno-lint-ignore no-explicit-any -- its types have only the CommonJS form
  (addFormats as any)(ajv);
  ajv.addSchema({ $id: "rookery", components: document.components });
  const fits = (frame: Json) => ajv.getSchema(`rookery#/components/messages/${frame.type}/payload`)!(frame);
  const [ann, bob] = await app.people(2);
  await app.follow(bob!, ann!.page_id);
  await using listener = await app.listen(bob!.token);
  await listener.next("hello");
  const post = await app.post(ann!);
  await app.post(bob!, { reply_to: post.id });
  await app.ok("PUT", `/posts/${post.id}/like`, { token: bob!.token });
  await app.ok("PATCH", `/pages/${ann!.page_id}`, { token: ann!.token, body: { name: "Another" } });
  await listener.next("page.updated");
  await app.ok("DELETE", `/pages/${ann!.page_id}/follow`, { token: bob!.token });
  await listener.next("following.changed");
  const types = new Set(listener.frames.map(({ type }) => type));
  for (const type of ["hello", "post.created", "post.replies", "post.liked", "page.updated", "following.changed"]) {
    assert.ok(types.has(type), type);
  }
  for (const frame of listener.frames) {
    assert.ok(fits(frame), `${frame.type}: ${ajv.errorsText()}`);
    assert.ok(!fits({ ...frame, surplus: 1 }), `${frame.type} with an extra field`);
    if (frame.cursor) assert.ok(!fits({ ...frame, cursor: 1 }), `${frame.type} without its cursor`);
  }
});
