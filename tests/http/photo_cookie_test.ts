/** The cookie with which a browser loads pictures: its scope and its end. */
import assert from "node:assert/strict";
import { photoCookie } from "../../routes/http/photo_cookie.ts";
import { sharedApp } from "../support/app.ts";
import { PASSWORD, type Person } from "../support/person.ts";
import { pngOf } from "../support/pictures.ts";

const app = sharedApp();
const png = { name: "a.png", data: (await pngOf(90, 60)).toBase64() };

/** A photo that only its author, followers and staff may see. */
async function privatePhoto(author: Person): Promise<string> {
  const page = await app.page(author, { is_private: true });
  return (await app.post(author, { photos: [png] }, page.id)).photos[0].url;
}

async function cookieOf({ token }: { token: string }): Promise<string> {
  const { headers } = await app.call("PUT", "/photos/cookie", { token });
  return headers.get("set-cookie")!.split(";")[0]!;
}

async function statusOf(url: string, cookie: string): Promise<number> {
  const response = await fetch(app.url + url, { headers: { cookie } });
  await response.body?.cancel();
  return response.status;
}

Deno.test("The photo cookie is for photos only, HttpOnly and SameSite, and Secure if the site uses TLS", async () => {
  const ada = await app.person();
  const { headers } = await app.call("PUT", "/photos/cookie", { token: ada.token });
  const attributes = headers.get("set-cookie")!.split("; ").slice(1);
  assert.deepEqual(attributes, ["Path=/api/v1/photos", "Max-Age=1800", "HttpOnly", "SameSite=Strict"]);
  const caller = { id: ada.id, sid: crypto.randomUUID(), role: "user" as const, verified: true };
  assert.match(photoCookie(app.ctx, caller, true), /; Secure$/);
});

Deno.test("The photo cookie is rejected by every other route, as a refresh token, and as a ticket", async () => {
  const ada = await app.person();
  const value = (await cookieOf(ada)).split("=")[1]!;
  const { paths } = await (await fetch(`${app.url}/openapi.json`)).json();
  const asked: string[] = [];
  for (const [path, operations] of Object.entries<Record<string, { security: unknown[] }>>(paths)) {
    for (const [method, { security }] of Object.entries(operations)) {
      if (security.length === 0) continue;
      const at = path.replace("/api/v1", "").replaceAll(/\{\w+\}/g, ada.id);
      const { status, slug } = await app.call(method.toUpperCase(), at, { token: value, undeclared: true });
      assert.deepEqual([method, path, status, slug], [method, path, 401, "token-invalid"]);
      asked.push(path);
    }
  }
  assert.ok(asked.length > 60 && asked.some((path) => path.endsWith("/photos/{key}")));
  await app.refused("token-invalid", "POST", "/security/refresh", { body: { refresh_token: value } });
  const live = await app.call("GET", `/feed/live?ticket=${encodeURIComponent(value)}`, {
    headers: { cookie: await cookieOf(ada) },
    undeclared: true,
  });
  assert.ok(live.status >= 400, `a live stream is ${live.status}`);
  assert.equal(
    (await app.call("GET", "/users/me", { headers: { cookie: await cookieOf(ada) } })).slug,
    "token-missing",
  );
});

Deno.test("An access token, or a changed or expired cookie, gives no access to photos", async () => {
  const [ada, eve] = await app.people(2) as [Person, Person];
  const url = await privatePhoto(ada);
  const right = await cookieOf(ada);
  assert.equal(await statusOf(url, right), 200);
  const [name, value] = right.split("=") as [string, string];
  const [sid, expires, mark] = value.split(".") as [string, string, string];
  const foreign = (await cookieOf(eve)).split("=")[1]!;
  const expired = { ...app.ctx.config, ACCESS_TOKEN_TTL: -1_000 };
  const caller = { id: ada.id, sid, role: "user" as const, verified: true };
  for (
    const wrong of [
      `rookery_photos=${ada.token}`,
      `${name}=${ada.token}`,
      `${name}=${foreign}`,
      `${name}=${sid}.${Number(expires) + 60}.${mark}`,
      `${name}=${sid}.${expires}.${mark.slice(1)}A`,
      `${name}=`,
      `x${right}`,
      photoCookie({ ...app.ctx, config: expired }, caller, false).split(";")[0]!,
    ]
  ) {
    assert.equal(await statusOf(url, wrong), 404, wrong);
  }
});

Deno.test("The photo cookie ends with its session: sign-out, another sign-in, a new password or a block", async () => {
  const { token } = await app.admin();
  const ends: [string, (person: Person) => Promise<unknown>][] = [
    ["signing out", (person) => app.ok("POST", "/security/logout", { token: person.token })],
    ["signing in elsewhere", ({ login }) => app.signIn(login)],
    [
      "a new password",
      (person) =>
        app.ok("POST", "/security/password", {
          token: person.token,
          body: { current: PASSWORD, new: "Other-Horse-1" },
        }),
    ],
    ["a block", ({ id }) => app.ok("POST", `/users/${id}/block`, { token, body: { reason: "Spam", until: null } })],
    ["deletion", ({ id }) => app.ok("DELETE", `/users/${id}`, { token })],
  ];
  const owner = await app.person();
  for (const [name, end] of ends) {
    const fan = await app.register();
    const page = await app.page(owner, { is_private: true });
    await app.follow(fan, page.id);
    await app.ok("POST", `/pages/${page.id}/requests/accept`, { token: owner.token, body: { all: true } });
    const { url } = (await app.post(owner, { photos: [png] }, page.id)).photos[0];
    const cookie = await cookieOf(fan);
    assert.equal(await statusOf(url, cookie), 200, `before ${name}`);
    await end(fan);
    assert.equal(await statusOf(url, cookie), 404, `after ${name}`);
  }
});

Deno.test("Without the role a former moderator loses staff's photos; a refresh keeps the others", async () => {
  const owner = await app.person();
  const moderator = await app.moderator();
  const url = await privatePhoto(owner);
  const cookie = await cookieOf(moderator);
  assert.equal(await statusOf(url, cookie), 200);
  await app.ok("POST", "/security/refresh", { body: { refresh_token: moderator.refresh_token } });
  assert.equal(await statusOf(url, cookie), 200);
  const { token } = await app.admin();
  await app.ok("PUT", `/users/${moderator.id}/role`, { token, body: { role: "user" } });
  assert.equal(await statusOf(url, cookie), 404);
});

Deno.test("People in one browser have separate cookies and see their own photos", async () => {
  const [ada, bob, stranger] = await app.people(3) as [Person, Person, Person];
  const [hers, his] = [await privatePhoto(ada), await privatePhoto(bob)];
  const cookies = [await cookieOf(stranger), await cookieOf(ada), await cookieOf(bob)];
  assert.equal(new Set(cookies.map((cookie) => cookie.split("=")[0])).size, 3);
  const both = cookies.join("; ");
  assert.deepEqual([await statusOf(hers, both), await statusOf(his, both)], [200, 200]);
  assert.deepEqual([await statusOf(hers, cookies[2]!), await statusOf(his, cookies[2]!)], [404, 200]);
  const { headers } = await app.call("DELETE", "/photos/cookie", { token: bob.token });
  assert.match(headers.get("set-cookie")!, new RegExp(`^rookery_photos_${bob.id}=; Path=/api/v1/photos; Max-Age=0;`));
  await app.ok("POST", "/security/logout", { token: bob.token });
  assert.deepEqual([await statusOf(hers, both), await statusOf(his, both)], [200, 404]);
  // Of many cookies only a few are checked.
  const crowd = Array.from({ length: 40 }, () => `rookery_photos_${crypto.randomUUID()}=x.1.y`);
  assert.equal(await statusOf(hers, [...crowd, cookies[1]].join("; ")), 200);
  assert.equal(await statusOf(hers, [cookies[1], ...crowd].join("; ")), 404);
});
