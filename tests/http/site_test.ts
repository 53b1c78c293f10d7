/** Caching of the site's pages and files. */
import assert from "node:assert/strict";
import { Assets, ownFiles } from "../../routes/assets.ts";
import { sharedApp } from "../support/app.ts";

const app = sharedApp();

async function get(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(app.url + path, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

Deno.test("Every page is revalidated by its ETag, and its scripts and styles are cached permanently", async () => {
  for (const path of ["/", "/admin", "/docs", "/problems", "/problems/not-found"]) {
    const { status, headers, text } = await get(path);
    assert.deepEqual([path, status, headers.get("cache-control")], [path, 200, "no-cache"]);
    assert.match(headers.get("content-security-policy")!, /^default-src 'none'; script-src 'self'; style-src 'self'/);
    assert.equal((await get(path, { "if-none-match": headers.get("etag")! })).status, 304);
    assert.equal((await get(path, { "if-none-match": 'W/"another"' })).status, 200);
    const files = [...text.matchAll(/(?:<script[^>]* src|rel="stylesheet" href)="([^"]+)"/g)].map(([, file]) => file!);
    assert.ok(files.length > 0, path);
    for (const file of files) {
      const found = await get(file);
      assert.deepEqual([file, found.status], [file, 200]);
      assert.equal(found.headers.get("cache-control"), "public, max-age=31536000, immutable");
      assert.match(found.headers.get("content-type")!, /^text\/(css|javascript); charset=utf-8$/);
      assert.equal(found.headers.get("x-content-type-options"), "nosniff");
      const head = await fetch(app.url + file, { method: "HEAD" });
      assert.equal(head.headers.get("content-length"), String(new TextEncoder().encode(found.text).length));
    }
  }
});

Deno.test("A file is found only under its own version, and a missing one is not cached", async () => {
  const path = ownFiles().pathOf("app.js");
  for (
    const wrong of [
      "/app.js",
      "/app/page.js",
      path.replace(/.\/app/, "_/app"),
      path + "x",
      "/assets/app.js",
      "/assets/",
    ]
  ) {
    const { status, headers } = await get(wrong);
    assert.deepEqual([wrong, status, headers.get("cache-control")], [wrong, 404, "no-store"]);
  }
});

Deno.test("All modules are imported by relative paths, so that all have one version", async () => {
  for (const name of ownFiles().names.filter((name) => name.endsWith(".js"))) {
    const path = ownFiles().pathOf(name);
    const { text } = await get(path);
    for (const [, from] of text.matchAll(/(?:from|import) "([^"]+)"/g)) {
      assert.match(from!, /^\.\.?\//);
      assert.equal((await get(new URL(from!, app.url + path).pathname)).status, 200, `${name} imports ${from}`);
    }
    assert.doesNotMatch(text, /import\(/, "a module that is loaded later may have another version by then");
  }
});

Deno.test("The version changes with every byte of every file", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const version = (files: Record<string, string>) =>
    new Assets(Object.entries(files).map(([name, text]) => [name, bytes(text)])).version;
  const now = version({ "a.js": "1", "b.js": "2" });
  assert.equal(version({ "b.js": "2", "a.js": "1" }), now);
  for (
    const other of [{ "a.js": "1", "b.js": "3" }, { "a.js": "1" }, { "a.js": "12", "b.js": "" }, {
      "a.js": "2",
      "b.js": "1",
    }]
  ) {
    assert.notEqual(version(other as Record<string, string>), now);
  }
});
