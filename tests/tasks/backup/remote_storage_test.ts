/** A backup with a storage on another machine: the task reads the photos there, or fails. */
import assert from "node:assert/strict";
import { Secret } from "../../../security/secret.ts";
import { storageToken } from "../../../workers/roles/services.ts";
import { emptyFolder, NodeProcess } from "../../support/node_process.ts";
import { makePeople, type Person } from "../../support/person.ts";
import { pngOf } from "../../support/pictures.ts";
import { StorageProcess } from "../../support/storage_process.ts";
import { TaskProcess } from "../../support/task_process.ts";

const SECRET_KEY = "the secret of an installation with a remote storage";

Deno.test("A backup reads photos from the server's storage, and rejects missing ones", async () => {
  await using place = await emptyFolder();
  await using storage = await StorageProcess.start({ token: storageToken(new Secret(SECRET_KEY)) });
  await using node = await NodeProcess.start({ full: false, env: { SECRET_KEY, STORAGE_URL: storage.url } });
  const [ann] = await makePeople(node, 1) as [Person];
  await ann.post("with a photo", { photos: [{ name: "a.png", data: (await pngOf(40, 20)).toBase64() }] });

  // Without ROLES, like the call of an operator.
  const done = await TaskProcess.done("backup", [`${place.path}/whole`], node.settings);
  assert.match(done, /and 1 files of photos/);
  assert.equal([...Deno.readDirSync(`${place.path}/whole/files`)].length, 1);

  const { STORAGE_URL: _, ...without } = node.settings;
  const refused = await TaskProcess.run("backup", [`${place.path}/none`], without);
  assert.equal(refused.code, 1, refused.output);
  assert.match(refused.output, /1 of 1 files of photos are not in the storage.*STORAGE_URL or S3_URL/s);
  assert.ok(!await Deno.stat(`${place.path}/none`).catch(() => undefined));

  const allowed = await TaskProcess.run("backup", [`${place.path}/some`, "--allow-missing"], without);
  assert.equal(allowed.code, 0, allowed.output);
  assert.match(allowed.output, /0 files of photos[\s\S]*1 files were not there/);
});
