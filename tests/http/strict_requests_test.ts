/** Invalid requests get the errors of the RFCs, and nothing ambiguous is accepted. */
import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { pngOf } from "../support/pictures.ts";
import { half, RawHttp } from "../support/raw_http.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();

interface Call {
  method: string;
  path: string;
  operation: Json;
}

function calls(): Call[] {
  return Object.entries(app.contract.document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.replace("/api/v1", "").replace(/\{tag\}|\{login\}/, "birds").replaceAll(
        /\{(key|\w*id|width)\}/g,
        (_, name) =>
          path.includes("/vk/")
            ? "me"
            : name === "key"
            ? "a".repeat(22)
            : name === "width"
            ? "320"
            : "01890000-0000-7000-8000-000000000000",
      ),
      operation,
    }))
  );
}

Deno.test("Every call rejects repeated and unknown parameters by name", async () => {
  const { token } = await app.person({ role: "admin" });
  for (const { method, path, operation } of calls()) {
    const name = operation.parameters?.find((parameter: Json) => parameter.in === "query")?.name ?? "other";
    const twice = await app.call(method, `${path}?${name}=1&${name}=2`, { token, body: undefined });
    assert.deepEqual([twice.slug, twice.body.errors?.[0].path], ["invalid-query", name], `${method} ${path}`);
    const unknown = await app.call(method, `${path}?surely_unknown=1`, { token });
    assert.equal(unknown.slug, "validation", `${method} ${path}`);
    assert.ok(unknown.body.errors.some((error: Json) => error.path === "surely_unknown"), `${method} ${path}`);
  }
  for (const query of ["cursor=x&cursor=y", "ticket=x&ticket=y"]) {
    await app.refused("invalid-query", "GET", `/feed/live?${query}`, { token, undeclared: true });
  }
  await app.refused("validation", "GET", "/feed/live?other=1", { token, undeclared: true });
});

Deno.test("Every list accepts limits in decimal digits only", async () => {
  const { token } = await app.person({ role: "admin" });
  const lists = calls().filter(({ operation }) => operation.parameters?.some((one: Json) => one.name === "limit"));
  assert.ok(lists.length > 8);
  for (const { path } of lists) {
    for (const limit of ["0x10", "1e1", "%205%20", "%2B5", "5.0", "0b1", "Infinity", ""]) {
      const { errors } = await app.refused("invalid-query", "GET", `${path}?limit=${limit}`, { token });
      assert.equal(errors[0].path, "limit", limit);
    }
    for (const limit of ["0", "101", "999999999999999"]) {
      const { errors } = await app.refused("validation", "GET", `${path}?limit=${limit}`, { token });
      assert.ok(errors.some((error: Json) => error.path === "limit"), limit);
    }
  }
});

Deno.test("Every body with a repeated member is rejected, and the member is named", async () => {
  const admin = await app.person({ role: "admin" });
  const { token } = admin;
  const { id: post } = await app.post(admin);
  const bodies = calls().filter(({ operation }) => operation.requestBody);
  assert.ok(bodies.length > 15);
  for (const { method, path } of bodies) {
    const own = path.startsWith("/posts") ? post : path.startsWith("/users") ? admin.id : admin.page_id;
    const body = '{"other": {"deep": [1, {"a\\"": 1, "\\u0061\\"" : 2}]}, "login": "a", "login": "b"}';
    const at = path.replace("01890000-0000-7000-8000-000000000000", own);
    const { errors } = await app.refused("repeated-keys", method, at, { token, body });
    const paths = errors.map((error: Json) => error.path);
    // The store splits the body of a write itself, and does not look inside of values.
    assert.deepEqual(paths, path === "/kv/write" ? ["login"] : ['other.deep.1.a"', "login"], path);
  }
  await app.refused("repeated-keys", "POST", "/kv/read", { token, body: '{"keys":["a"],"keys":["b"]}' });
  await app.refused("repeated-keys", "POST", "/kv/read", {
    token,
    body: '{"keys":["a"],"space":"own","space":"shared"}',
  });
});

Deno.test("Names that only look like repeated ones are accepted", async () => {
  const person = await app.person();
  const texts = ['"text": "b", "text": "c"', "\\", '\\"', "text:", "{", "}:"];
  for (const text of texts) assert.equal((await app.post(person, { text })).text, text);
  const body = '{ "text"\n:\t"one \\\\", "place" : "text" }';
  await app.ok("POST", `/pages/${person.page_id}/posts`, { token: person.token, body });
});

Deno.test("Every call with a body rejects a content coding with 415, and names it", async () => {
  const { token } = await app.person({ role: "admin" });
  for (const { method, path } of calls().filter(({ operation }) => operation.requestBody)) {
    const headers = { "content-encoding": "gzip" };
    const answer = await app.call(method, path, { token, body: "{}", headers });
    const what = `${method} ${path}: ${JSON.stringify(answer.body)}`;
    assert.deepEqual([answer.status, answer.headers.get("accept-encoding")], [415, "identity"], what);
    const type = await app.call(method, path, { token, body: "x", headers: { "content-type": "text/plain" } });
    assert.equal(type.headers.get("accept-encoding"), null, what);
  }
  const plain = { "content-encoding": "identity" };
  await app.refused("credentials-invalid", "POST", "/security/login", {
    body: { login: "nobody", password: "x" },
    headers: plain,
  });
});

Deno.test("Text that cannot be stored is rejected by the path of its field", async () => {
  const { token, page_id } = await app.person();
  const refused = async (method: string, path: string, body: Json) =>
    (await app.refused("validation", method, path, { token, body })).errors;
  const cases: [method: string, path: string, body: Json, field: string][] = [
    ["POST", "/pages", { name: "a\0" }, "name"],
    ["POST", "/pages", { name: "A page", tags: ["birds", "\ud83d"] }, "tags.1"],
    ["POST", `/pages/${page_id}/posts`, { text: "a", photos: [{ name: "\0.png", data: "" }] }, "photos.0.name"],
    ["PATCH", `/pages/${page_id}`, { "na\0me": "A page" }, "na\0me"],
  ];
  for (const [method, path, body, field] of cases) {
    const [error, ...others] = await refused(method, path, body);
    assert.deepEqual([error.path, error.rule, others.length], [field, "well_formed", 0]);
  }
});

Deno.test("A handshake of another version and other requests get the supported protocol", async () => {
  const { token } = await app.person();
  const { hostname, port } = new URL(app.url);
  for (const version of ["8", "7", "14", undefined]) {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const lines = [
      "GET /api/v1/feed/live HTTP/1.1",
      "Host: x",
      `Authorization: Bearer ${token}`,
      ...(version === undefined ? [] : [
        "Connection: Upgrade",
        "Upgrade: websocket",
        `Sec-WebSocket-Version: ${version}`,
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ]),
    ];
    await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
    const buffer = new Uint8Array(4_096);
    const head = new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0)).toLowerCase();
    assert.match(head, /^http\/1\.1 426 /, String(version));
    for (const line of ["upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"]) {
      assert.ok(head.includes(`\r\n${line}`), `${line} is not in ${head}`);
    }
  }
});

Deno.test("HEAD has the length of GET, of answers and problems, and no body", async () => {
  const { token } = await app.person();
  const signed = { authorization: `Bearer ${token}` };
  const paths = ["/api/v1/users/me", "/api/v1/feed?limit=2", "/api/v1/feed?limit=x", "/api/v1/nothing", "/healthz"];
  for (const path of [...paths, "/.well-known/jwks.json", "/openapi.json", "/problems"]) {
    const got = await fetch(app.url + path, { headers: signed });
    const length = (await got.bytes()).length;
    using raw = await RawHttp.open(
      app.url,
      half(`HEAD ${path}`, { Authorization: `Bearer ${token}`, Connection: "close" }),
    );
    await raw.closed;
    const [head, rest] = raw.received.split("\r\n\r\n");
    assert.deepEqual([raw.status, rest], [got.status, ""], path);
    assert.match(head!, new RegExp(`^content-length: ${length}$`, "im"), path);
  }
  // A host that is invalid in a URL.
  using odd = await RawHttp.open(app.url, `HEAD /healthz HTTP/1.1\r\nConnection: close\r\nHost: a b%\r\n\r\n`);
  await odd.closed;
  assert.match(odd.received, /^content-length: 15$/im, odd.received);
});

Deno.test("A handshake whose key is not 16 bytes in base64 is rejected", async () => {
  const { token } = await app.person();
  const keys = [
    "short",
    undefined,
    "",
    "dGhlIHNhbXBsZSBub25jZQ",
    "dGhlIHNhbXBsZSBub25jZSE=",
    "dGhl-HNhbXBsZSBub25jZQ==",
  ];
  for (const key of keys) {
    const headers = {
      Authorization: `Bearer ${token}`,
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      ...(key !== undefined && { "Sec-WebSocket-Key": key }),
    };
    using raw = await RawHttp.open(app.url, half("GET /api/v1/feed/live", headers));
    await until("an answer", async () => /\}$/.test(raw.received) || raw.status === 101);
    assert.equal(raw.status, 400, `${key}: ${raw.received}`);
    assert.match(raw.received, /\/problems\/invalid-handshake"/);
  }
});

Deno.test("Every rejection of a JSON body names at least one field", async () => {
  const admin = await app.person({ role: "admin" });
  const { token } = admin;
  const { id: post } = await app.post(admin);
  const values = [
    "{}",
    "[]",
    "null",
    '"x"',
    "7",
    '{"surely_unknown":1}',
    '{"all":7}',
    '{"user_ids":[7]}',
    '{"up_to":"x"}',
  ];
  for (const { method, path } of calls().filter(({ operation }) => operation.requestBody)) {
    const own = path.startsWith("/posts") ? post : path.startsWith("/users") ? admin.id : admin.page_id;
    const at = path.replace("01890000-0000-7000-8000-000000000000", own);
    for (const body of values) {
      const { status, body: problem } = await app.call(method, at, { token, body });
      if (status !== 400 && status !== 422) continue;
      const what = `${method} ${path} ${body}: ${JSON.stringify(problem)}`;
      assert.ok(problem.errors?.length > 0, what);
      for (const { path, message } of problem.errors) assert.ok(path !== "" && message !== "", what);
    }
  }
  const fields = async (path: string, body: unknown) =>
    (await app.call("POST", path, { token, body })).body.errors.map((error: Json) => error.path);
  assert.deepEqual(await fields("/notifications/read", {}), ["up_to", "all"]);
  assert.deepEqual(await fields("/notifications/read", { up_to: 7 }), ["up_to"]);
  assert.deepEqual(await fields("/notifications/read", { all: false }), ["all"]);
  assert.deepEqual(await fields("/notifications/read", { up_to: "x" }), ["up_to"]);
  assert.deepEqual(await fields("/notifications/read", []), ["body"]);
  assert.deepEqual(await fields(`/pages/${admin.page_id}/requests/accept`, { user_ids: ["x"] }), ["user_ids.0"]);
  assert.deepEqual(await fields("/security/reset", { email: "a@b.example", code: "x", new: "New-Horse-1" }), ["code"]);
});

Deno.test("A challenge names the error of a token, and nothing without one", async () => {
  const { token } = await app.person();
  const challenge = async (token?: string) =>
    (await app.call("GET", "/users/me", { token })).headers.get("www-authenticate");
  assert.equal(await challenge(), 'Bearer realm="rookery"');
  const bad = 'Bearer realm="rookery", error="invalid_token", error_description="The token is invalid"';
  assert.equal(await challenge("nonsense"), bad);
  await app.ok("POST", "/security/logout", { token });
  assert.match(
    await challenge(token) ?? "",
    /^Bearer realm="rookery", error="invalid_token", error_description="[^"]+"$/,
  );
});

Deno.test("Allow has HEAD with GET, and OPTIONS", async () => {
  for (const [path, allow] of [["/feed", "GET, HEAD, OPTIONS"], ["/users", "GET, HEAD, POST, OPTIONS"]] as const) {
    for (const method of ["OPTIONS", "PUT"]) {
      const answer = await app.call(method, path, { undeclared: true });
      assert.deepEqual([answer.status, answer.headers.get("allow")], [method === "PUT" ? 405 : 204, allow], path);
    }
  }
});

Deno.test("A range outside of a photo is 416 with its length", async () => {
  const person = await app.person();
  const { id } = await app.post(person, { photos: [{ name: "a.png", data: (await pngOf(40, 40)).toBase64() }] });
  // A busy machine answers before the photo is cropped.
  const url = await until("the photo is ready", async () => {
    const { photos } = await app.ok("GET", `/posts/${id}`, { token: person.token });
    return photos[0].url as string | null;
  });
  const path = url.replace("/api/v1", "");
  const whole = await fetch(`${app.url}/api/v1${path}`, { headers: { authorization: `Bearer ${person.token}` } });
  const { byteLength } = await whole.arrayBuffer();
  const { status, headers } = await app.call("GET", path, {
    token: person.token,
    headers: { range: "bytes=99999999-" },
  });
  assert.deepEqual([status, headers.get("content-range")], [416, `bytes */${byteLength}`]);
});

Deno.test("A blocked person learns the reason and the end only with the correct password", async () => {
  const [admin, person] = await Promise.all([app.admin(), app.person()]);
  const until = new Date(Date.now() + 86_400_000).toISOString();
  const body = { reason: "Spam in every thread", until };
  await app.ok("POST", `/users/${person.id}/block`, { token: admin.token, body });
  const says = ({ detail }: { detail: string }) => {
    assert.match(detail, /Spam in every thread/);
    assert.ok(detail.includes(until), detail);
  };
  const signIn = (password: string) => ({ body: { login: person.login, password } });
  says(await app.refused("account-blocked", "POST", "/security/login", signIn(person.password)));
  says(
    await app.refused("account-blocked", "POST", "/security/refresh", {
      body: { refresh_token: person.refresh_token },
    }),
  );
  says(await app.refused("account-blocked", "GET", "/users/me", { token: person.token }));
  const wrong = await app.refused("credentials-invalid", "POST", "/security/login", signIn("Wrong-Horse-1"));
  assert.doesNotMatch(JSON.stringify(wrong), /Spam/);
});

Deno.test("Statistics of future days are rejected by the field", async () => {
  const person: Person = await app.person();
  const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  for (
    const [query, path] of [[`to=${day(2)}`, "to"], [`from=${day(2)}`, "from"], [`from=${day(-1)}&to=${day(9)}`, "to"]]
  ) {
    const { errors } = await app.refused("validation", "GET", `/pages/${person.page_id}/stats?${query}`, {
      token: person.token,
    });
    assert.equal(errors[0].path, path, String(query));
  }
});

Deno.test("Exhausted codes report when to retry", async () => {
  const person = await app.person({ verified: false });
  const send = () => app.call("POST", "/security/verify", { token: person.token, body: { code: "WRONG000" } });
  let answer = await send();
  for (let i = 0; i < 8 && answer.slug !== "code-exhausted"; i++) answer = await send();
  assert.equal(answer.slug, "code-exhausted");
  assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
});
