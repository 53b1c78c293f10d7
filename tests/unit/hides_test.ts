/** The endpoints whose answer waits for the delivery barrier. Each endpoint that writes is in one of the two lists. */
import assert from "node:assert/strict";
import { readConfig } from "../../config.ts";
import type { AppContext } from "../../context.ts";
import { Metrics } from "../../lib/metrics/metrics.ts";
import { Log } from "../../lib/log.ts";
import { buildApi } from "../../routes/app.ts";
import { Secret } from "../../security/secret.ts";

/** They hide pages or end access of an account or a token. Lifting a block waits like the block itself. */
const HIDES = [
  "delete /pages/{id}/block",
  "delete /users/{id}",
  "delete /users/{id}/block",
  "post /pages/{id}/block",
  "post /security/login",
  "post /security/logout",
  "post /security/password",
  "post /security/refresh",
  "post /security/reset",
  "post /security/verify",
  "post /users/{id}/block",
  "put /users/{id}/role",
];

/** Their changes are in every cache when they answer. A frame sent earlier may still arrive later. */
const HIDES_NOTHING = [
  "delete /jobs/{id}",
  "delete /pages/{id}",
  "delete /pages/{id}/avatar",
  "delete /pages/{id}/follow",
  "delete /pages/{id}/followers/{user_id}",
  "delete /pages/{id}/tags/{tag}",
  "delete /photos/cookie",
  "delete /posts/{id}",
  "delete /posts/{id}/like",
  "delete /reports/{id}/take",
  "delete /users/{id}/avatar",
  "delete /users/{id}/bounce",
  "delete /vk/token",
  "patch /pages/{id}",
  "patch /posts/{id}",
  "patch /users/{id}",
  "post /feed/ticket",
  "post /jobs/{id}/retry",
  "post /kv/delete",
  "post /kv/read",
  "post /kv/write",
  "post /mail/inbox",
  "post /notifications/read",
  "post /notifications/unsubscribe",
  "post /pages",
  "post /pages/{id}/posts",
  "post /pages/{id}/requests/accept",
  "post /pages/{id}/requests/reject",
  "post /posts/{id}/retry",
  "post /reports",
  "post /reports/{id}/close",
  "post /reports/{id}/take",
  "post /security/code",
  "post /security/recover",
  "post /users",
  "post /vk/captcha",
  "put /notifications/settings",
  "put /pages/{id}/avatar",
  "put /pages/{id}/follow",
  "put /pages/{id}/tags/{tag}",
  "put /photos/cookie",
  "put /posts/{id}/like",
  "put /users/{id}/avatar",
  "put /vk/token",
];

Deno.test("Every endpoint that writes is listed as hiding content or not", () => {
  const { endpoints } = definitions();
  const writing = endpoints.filter(({ method }) => method !== "get");
  const named = (hides: boolean) =>
    writing.filter((definition) => (definition.hides ?? false) === hides).map(({ method, path }) => `${method} ${path}`)
      .sort();
  assert.deepEqual(named(true), HIDES);
  assert.deepEqual(named(false), HIDES_NOTHING);
});

Deno.test("No endpoint that reads hides content", () => {
  const { endpoints } = definitions();
  assert.deepEqual(endpoints.filter(({ method, hides }) => method === "get" && hides), []);
});

/** All endpoints, declared with parts that are never called. */
function definitions() {
  const config = readConfig({});
  const secret = new Secret("a secret for tests only, long enough");
  const nobody = { wait: () => Promise.resolve() };
  const parts = { config, secret, log: new Log("error"), metrics: new Metrics(), deliveryBarrier: nobody, photos: {} };
  const ctx = parts as unknown as AppContext;
  return buildApi(ctx);
}
