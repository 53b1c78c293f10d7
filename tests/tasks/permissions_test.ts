/**
 * What the program may do (`docs/decisions/0021-permissions.md`): named at its start and in the image, and enough for
 * all of it.
 */
import assert from "node:assert/strict";
import { emptyFolder, NodeProcess, START } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { pngOf } from "../support/pictures.ts";
import { until } from "../support/wait.ts";

const ROOT = new URL("../../", import.meta.url);
const PERMISSIONS = ["--allow-env", "--allow-ffi", "--allow-net", "--allow-read", "--allow-sys=hostname,uid"];

Deno.test("The start and the image's entry point have exactly these permissions", async () => {
  const flags = (words: readonly string[]) => words.filter((word) => /^-A$|^--allow|^--deny|^-P/.test(word)).sort();
  assert.deepEqual(flags(START), [...PERMISSIONS, "--allow-run", "--allow-write"].sort());
  assert.ok(START.includes("--no-prompt"));
  const script = await Deno.readTextFile(new URL("docker/entrypoint.sh", ROOT));
  const [, command] = /exec deno run ((?:.|\\\n)*?) "\$@"\n/.exec(script)!;
  const words = command!.replaceAll(/\\\n\s*/g, "").split(" ");
  assert.deepEqual(
    flags(words),
    [
      ...PERMISSIONS,
      '--allow-run="$(deno_itself),sh,setpriv"',
      '--allow-write="${DATA_DIR:-/data},${TMPDIR:-/tmp}"',
    ].sort(),
  );
  assert.equal([...script.matchAll(/deno run/g)].length, 1, "every role and task runs by this line");
});

const WAYS: Record<string, readonly string[]> = {
  "the start": [Deno.execPath(), ...START],
  "the image's entry point": ["sh", "docker/entrypoint.sh", "server"],
};
for (const [way, command] of Object.entries(WAYS)) {
  Deno.test(`The permissions of ${way} are enough for everything a node does`, async () => {
    await using node = await NodeProcess.on(await emptyFolder(), { LOG_LEVEL: "info" }, [], command);
    const [ada] = await makePeople(node, 1) as [Person];
    const photo = { name: "a.png", data: (await pngOf(60, 40)).toBase64() };
    const { id } = await ada.post("with a photo", { photos: [photo] });
    await until("the photo is cropped", async () => (await ada.do("GET", `/posts/${id}`)).photos[0]?.url);
    await ada.do("PUT", `/posts/${id}/like`);
    await ada.do("POST", "/kv/write", { data: { key: 1 } });
    assert.deepEqual((await ada.do("POST", "/kv/read", { keys: ["key"] })).data, { key: 1 });
    await ada.do("PUT", "/vk/token", { token: "fake-user-101", kind: "user" });
    assert.equal((await ada.call("GET", "/vk/users/me")).status, 200);
    await until(
      "its statistics are there",
      async () => (await ada.call("GET", `/pages/${ada.page_id}/stats`)).status === 200,
    );
    const { email } = await ada.do("GET", "/users/me");
    const mail = await ada.call("POST", "/mail/inbox", { email, password: ada.password });
    assert.equal(mail.status, 200, JSON.stringify(mail.body));
    for (const path of ["/metrics", "/readyz", "/", "/admin", "/openapi.json", "/docs"]) {
      assert.equal((await fetch(node.url + path).then((answer) => (answer.body?.cancel(), answer))).status, 200, path);
    }
    assert.equal((await node.stop()).code, 0);
    assert.doesNotMatch(node.output, /NotCapable|Requires \w+ access/);
  });
}
