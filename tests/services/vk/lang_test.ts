/** The language of names from VK, and redirects. */
import assert from "node:assert/strict";
import { VkFetch } from "../../../actors/vk_fetch.ts";
import { MemoryCache } from "../../../lib/cache/memory.ts";
import { Log } from "../../../lib/log.ts";
import { Secret } from "../../../security/secret.ts";
import { preferredLang } from "../../../services/vk/lang.ts";
import { VkToken } from "../../../services/vk/token.ts";
import { failureIn, startVk, valueOf } from "../../support/vk.ts";

Deno.test("The best language supported by VK is chosen from Accept-Language", () => {
  const cases: [string | null, string | undefined][] = [
    [null, undefined],
    ["", undefined],
    ["*", undefined],
    ["ru", "ru"],
    ["ru-RU,ru;q=0.9,en-US;q=0.8", "ru"],
    ["fr-FR, de;q=0.4, en;q=0.5", "en"],
    ["ja, EN-gb", "en"],
    ["en;q=0, uk;q=0.1", "uk"],
    ["en;q=2, be", "be"],
    ["de;q=0.5, it;q=0.5", "de"],
    ["constructor, __proto__", undefined],
    ["x".repeat(100_000), undefined],
  ];
  for (const [header, lang] of cases) assert.equal(preferredLang(header), lang, String(header));
});

Deno.test("Every call has the language, also within execute, and responses are cached per language", async () => {
  await using vk = await startVk({ lang: "ru" });
  await using cache = new MemoryCache();
  const fetch = new VkFetch({
    vault: {
      of: () => Promise.resolve({ token: new VkToken("fake-user-101"), kind: "user", version: "1" }),
      refused: async () => {},
      forget: async () => {},
    },
    client: vk.client,
    cache,
    spare: cache,
    secret: new Secret("s".repeat(32)),
    log: new Log("error"),
  });
  const of = async (lang?: "en" | "de") => (await fetch.profile("ada", { by: "id", id: 109 }, lang)).value.first_name;
  assert.deepEqual(await Promise.all([of(), of("en"), of(), of("de")]), ["Нина", "Nina", "Нина", "Nina"]);
  assert.deepEqual(new Set(vk.fake.log.map(({ params }) => params["lang"])), new Set(["ru", "en", "de"]));
  const asked = vk.fake.log.length;
  assert.deepEqual([await of(), await of("en")], ["Нина", "Nina"]);
  assert.equal(vk.fake.log.length, asked, "a cached response was requested again");
  // A call by its name, too.
  valueOf(await vk.client.as(new VkToken("fake-user-101"), "fi").call("users.get", { user_ids: [101] }));
  assert.equal(vk.fake.log.at(-1)!.params["lang"], "fi");
});

Deno.test("A redirect is not followed: its host is reported, and the token is not sent", async () => {
  let reached = 0;
  const listen = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  await using elsewhere = Deno.serve(listen, () => {
    reached++;
    return Response.json({ response: [] });
  });
  await using moved = Deno.serve(listen, () => {
    const location = `http://127.0.0.1:${elsewhere.addr.port}/method/users.get?access_token=secret`;
    return new Response(null, { status: 302, headers: { location } });
  });
  await using vk = await startVk({ url: `http://127.0.0.1:${moved.addr.port}`, retry: { tries: 1 } });
  const failure = failureIn(await vk.as().users.get({ user_ids: [101] }));
  assert.equal(failure.kind, "unreachable");
  assert.match(failure.message, new RegExp(`redirects to "127.0.0.1:${elsewhere.addr.port}"`));
  assert.doesNotMatch(failure.message, /secret|access_token/);
  assert.equal(reached, 0);
});
