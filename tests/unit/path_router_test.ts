import assert from "node:assert/strict";
import type { Result } from "hono/router";
import { TrieRouter } from "hono/router/trie-router";
import { PathRouter } from "../../routes/http/router.ts";

const ROUTES = [
  ["GET", "/users/:id"],
  ["GET", "/users/me"],
  ["GET", "/users/me/likes"],
  ["DELETE", "/users/me"],
  ["PUT", "/users/:id/block"],
  ["GET", "/photos/:key"],
  ["GET", "/photos/:key/:variant"],
  ["PUT", "/photos/cookie"],
  ["DELETE", "/pages/:id/followers/:user_id"],
  ["ALL", "/kv/*"],
  ["ALL", "/all"],
] as const;
const PATHS = [
  ...[
    "/",
    "/users",
    "/users/",
    "/users/me",
    "/users/7",
    "/users/me/",
    "/users/me/likes",
    "/users/7/likes",
    "/users/me/block",
  ],
  ...[
    "/users/7/block",
    "/photos/cookie",
    "/photos/a",
    "/photos/a/b",
    "/photos/a/b/c",
    "/pages/1/followers/2",
    "/pages/1/followers",
  ],
  ...[
    "/kv",
    "/kv/read",
    "/kv/a/b",
    "/all",
    "/users/%C3%A4",
    "/users/..",
    "/users/me%2Flikes",
    "/constructor",
    "/__proto__",
  ],
];

/** The handlers of a match with the parameters of each. */
function found(result: Result<string>): [string, Record<string, string>][] {
  const [matches, stash] = result;
  return matches.map(([handler, params]) => [
    handler,
    Object.fromEntries(
      Object.entries(params).map(([name, value]) => [name, typeof value === "number" ? stash![value]! : value]),
    ),
  ]);
}

for (const [order, routes] of [["declared", ROUTES], ["reversed", ROUTES.toReversed()]] as const) {
  Deno.test(`PathRouter finds the same routes as a linear search, a plain path before a pattern; ${order}`, () => {
    const router = new PathRouter<string>();
    const patterns = new TrieRouter<string>();
    for (const [method, path] of routes) {
      router.add(method, path, `${method} ${path}`);
      patterns.add(method, path, `${method} ${path}`);
    }
    for (const method of ["GET", "POST", "PUT", "DELETE", "OPTIONS"]) {
      for (const path of PATHS) {
        const plain = routes.find(([word, declared]) => word === method && declared === path);
        const expected = plain ? [[`${method} ${path}`, {}]] : found(patterns.match(method, path));
        assert.deepEqual(found(router.match(method, path)), expected, `${method} ${path}`);
      }
    }
  });
}

Deno.test("PathRouter has no methods named like properties of Object", () => {
  const router = new PathRouter<string>();
  for (const [method, path] of ROUTES) router.add(method, path, path);
  assert.deepEqual(found(router.match("constructor", "/users/7")), []);
  assert.deepEqual(found(router.match("__proto__", "/kv/a")), [["/kv/*", {}]]);
});

Deno.test("PathRouter accepts one handler per path", () => {
  const router = new PathRouter<string>();
  router.add("GET", "/a", "first");
  assert.throws(() => router.add("GET", "/a", "second"), /GET \/a is declared twice/);
});
