import assert from "node:assert/strict";
import { Secret } from "../../../security/secret.ts";
import { openStorage } from "../../../services/storage/open.ts";
import { storageToken } from "../../../workers/roles/services.ts";
import { NodeProcess, SECRET_KEY } from "../../support/node_process.ts";
import { makePeople, type Person } from "../../support/person.ts";
import { pngOf } from "../../support/pictures.ts";

async function scrub(dataDir: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "tasks/storage_scrub.ts", ...args],
    cwd: new URL("../../../", import.meta.url).pathname,
    env: { DATA_DIR: dataDir, SECRET_KEY, NO_COLOR: "1" },
  }).output();
  return { code, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

/** Makes an object old: a young one may belong to an unfinished upload. */
async function age(dataDir: string, key: string): Promise<string> {
  for await (const { name, isFile } of Deno.readDir(`${dataDir}/storage/objects`)) {
    const path = `${dataDir}/storage/objects/${name}`;
    const bytes = isFile ? await Deno.readFile(path) : new Uint8Array();
    const header = new TextDecoder().decode(bytes.subarray(0, 256));
    if (!header.includes(`"${key}"`)) continue;
    const old = header.replace(/"stored_at":"\d{4}/, '"stored_at":"2020');
    await Deno.writeFile(path, new Uint8Array([...new TextEncoder().encode(old), ...bytes.subarray(256)]));
    return path;
  }
  assert.fail(`No file has the key "${key}"`);
}

Deno.test("deno task storage:scrub reports orphaned and missing files, with and without a server", async () => {
  await using node = await NodeProcess.start({ full: false });
  const [ada] = await makePeople(node, 1) as [Person];
  const photo = { name: "a.png", data: (await pngOf(40, 20)).toBase64() };
  const post = await ada.post("kept", { photos: [photo] });
  const url = await Deno.readTextFile(`${node.dataDir}/storage.url`);
  const storage = openStorage({ kind: "rest", url, token: storageToken(new Secret(SECRET_KEY)) });
  await storage.put("orphan", new Uint8Array(10));
  assert.match((await scrub(node.dataDir)).output, /^0 missing\n0 orphaned$/m, "a young file may belong to an upload");

  const orphan = await age(node.dataDir, "orphan");
  const first = await scrub(node.dataDir);
  assert.equal(first.code, 0, first.output);
  assert.match(first.output, /^0 missing\n1 orphaned\n {2}orphan {2}10 bytes$/m);
  await Deno.stat(orphan);
  assert.match((await scrub(node.dataDir, "--remove")).output, /^1 removed$/m);
  await assert.rejects(Deno.stat(orphan), Deno.errors.NotFound);

  const key = post.photos[0].url.split("/").at(-1);
  await Deno.remove(await age(node.dataDir, key));
  await node.stop();
  const last = await scrub(node.dataDir);
  assert.equal(last.code, 1, last.output);
  assert.match(last.output, new RegExp(`^1 missing\n  ${key}$`, "m"));
  assert.equal((await scrub(node.dataDir, "--whatever")).code, 2);
});
