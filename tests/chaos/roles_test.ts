/** A full installation with a process for each role, on its own servers. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { call } from "../support/api.ts";
import { codesIn } from "../support/app.ts";
import { fullTest } from "../support/full.ts";
import { Installation } from "../support/installation.ts";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person, registration } from "../support/person.ts";
import { Listener } from "../support/listener.ts";
import { jpegOf } from "../support/pictures.ts";
import { childrenOf } from "../support/processes.ts";
import { startS3 } from "../support/s3_server.ts";
import { until } from "../support/wait.ts";

const photo = { name: "photo.jpg", data: (await jpegOf(900, 700)).toBase64() };

async function stateOf(person: Person, id: string): Promise<string> {
  return (await person.do("GET", `/posts/${id}`)).state;
}

/** Nobody crops: the post is accepted, and only its author knows. */
async function uncroppedPost(author: Person, fan: Person, stranger: Person): Promise<{ id: string }> {
  const { status, body: waiting } = await author.call("POST", `/pages/${author.page_id}/posts`, {
    text: "later",
    photos: [photo],
  });
  assert.deepEqual([status, waiting.state, waiting.photos[0].url], [202, "processing", null]);
  assert.equal(await stateOf(author, waiting.id), "processing");
  assert.equal((await stranger.call("GET", `/posts/${waiting.id}`)).status, 404);
  assert.deepEqual((await fan.do("GET", "/feed")).items, []);
  assert.deepEqual(
    (await author.do("GET", `/pages/${author.page_id}/posts?state=processing`)).items.map(({ id }: { id: string }) =>
      id
    ),
    [waiting.id],
  );
  assert.equal((await stranger.call("GET", `/pages/${author.page_id}/posts?state=processing`)).status, 403);
  return waiting;
}

/** Emails go through the separate mail server. */
async function emailArrives(api: NodeProcess): Promise<void> {
  const robin = registration("robin");
  await call(api, "POST", "/users", { body: robin });
  await until("the email", async () => {
    const inbox = await call(api, "POST", "/mail/inbox", {
      body: { email: robin.email, password: robin.password },
    });
    return codesIn(inbox.body.letters[0]?.text ?? "").length === 1;
  });
}

fullTest(
  "Roles in separate processes: photos wait without a cropper and survive a Redis wipe and killed jobs",
  async () => {
    await using installation = await Installation.open();
    const { redis } = installation;
    // A storage knows none of the servers.
    await using storage = await NodeProcess.on(await emptyFolder(), { ROLES: "storage" });
    const mail = await installation.start({ ROLES: "mail" });
    const env = { STORAGE_URL: storage.url, MAIL_URL: mail.url };
    const api = await installation.start({ ...env, ROLES: "api,actors" });
    const startJobs = () => installation.start({ ...env, ROLES: "jobs", PUBLIC_URL: api.url });
    const [ada, fan, stranger] = await makePeople(api, 3) as [Person, Person, Person];
    await fan.do("PUT", `/pages/${ada.page_id}/follow`);
    const listener = await Listener.open(fan);

    const waiting = await uncroppedPost(ada, fan, stranger);

    {
      const jobs = await startJobs();
      await listener.heard(
        "the waiting post",
        ({ type, data }) => type === "post.created" && data.id === waiting.id,
      );
      assert.equal((await fan.do("GET", "/feed")).items[0].photos[0].state, "ready");
      const beside = await ada.call("POST", `/pages/${ada.page_id}/posts`, { photos: [photo] });
      assert.equal(beside.status, 201);
      await emailArrives(api);
      await jobs.kill();
    }

    const posts = await Promise.all(
      Array.from(
        { length: 4 },
        (_, i) => ada.call("POST", `/pages/${ada.page_id}/posts`, { text: `wiped ${i}`, photos: [photo, photo] }),
      ),
    );
    for (const { status } of posts) {
      assert.equal(status, 202);
    }
    await redis.kill();
    await redis.restart({ wipe: true });
    const jobs = await startJobs();
    for (const { body } of posts) {
      await until(`${body.id} is ready`, async () => await stateOf(ada, body.id) === "ready");
    }
    for (const child of await childrenOf(jobs.pid)) assert.match(child.command, /workers\/children\/crop\.ts/);
    assert.equal((await jobs.stop()).code, 0);
    assert.equal((await storage.stop()).code, 0);
    // Without the storage photos are 503, and everything else works.
    const { url } = (await ada.do("GET", `/posts/${waiting.id}`)).photos[0];
    assert.equal((await fetch(api.url + url)).status, 503);
    const refused = await ada.call("POST", `/pages/${ada.page_id}/posts`, { photos: [photo] });
    assert.deepEqual([refused.status, refused.headers.has("retry-after")], [503, true]);
    assert.equal(
      (await ada.call("POST", `/pages/${ada.page_id}/posts`, { text: "text posts still work" })).status,
      201,
    );
    listener.cut();
  },
);

Deno.test("A failed photo shows its reason and can be retried; an unreadable one stays failed", async () => {
  await using node = await NodeProcess.start({ env: { CROP_PROCESSES: "1" } });
  const [ada] = await makePeople(node, 1) as [Person];
  await ada.post("", { photos: [photo] });
  const big = { name: "big.jpg", data: (await jpegOf(7_000, 7_000)).toBase64() };
  const sent = ada.call("POST", `/pages/${ada.page_id}/posts`, { photos: [photo, big] });
  let failed = false;
  for (let kills = 0; !failed; kills++) {
    assert.ok(kills < 100, "the crop fails after its last attempt");
    // The test skips the pauses between attempts.
    await until("an attempt", async () => {
      await node.sql.execute("update jobs set run_at = now() where kind = 'photo.crop' and state = 'waiting'");
      const [row] = await node.sql.query<{ running: boolean; failed: boolean }>(
        `select exists (select from jobs where kind = 'photo.crop' and state = 'running') as running,
          exists (select from posts where state = 'failed') as failed`,
      );
      failed = row!.failed;
      return row!.running || failed;
    }, { everyMs: 5 });
    const [crop] = (await childrenOf(node.pid)).filter(({ command }) => command.includes("workers/children/crop.ts"));
    if (crop && !failed) Deno.kill(crop.pid, "SIGKILL");
    await sleep(50);
  }
  const { body: post } = await sent;
  const now = await ada.do("GET", `/posts/${post.id}`);
  assert.equal(now.state, "failed");
  assert.ok(
    now.photos.some(({ problem }: { problem: string | null }) => problem === "crashed"),
    JSON.stringify(now.photos),
  );
  await until("no work in progress", async () => {
    const [row] = await node.sql.query<{ n: number }>("select count(*) as n from jobs where kind like 'photo.%'");
    return row!.n === 0;
  });
  await ada.call("POST", `/posts/${post.id}/retry`);
  await until("it is ready", async () => await stateOf(ada, post.id) === "ready");
  assert.equal((await ada.call("POST", `/posts/${post.id}/retry`)).status, 409);

  const cut = { name: "cut.jpg", data: (await jpegOf(900, 700)).slice(0, 9_000).toBase64() };
  const broken = await ada.call("POST", `/pages/${ada.page_id}/posts`, { text: "half", photos: [photo, cut] });
  assert.deepEqual([broken.status, broken.body.errors[0].path], [422, "photos.1.data"]);
  assert.deepEqual((await ada.do("GET", `/pages/${ada.page_id}/posts?state=failed`)).items, []);
});

Deno.test("With S3_URL photos are in the bucket, and no storage process runs", async () => {
  await using s3 = await startS3();
  await using node = await NodeProcess.start({ env: { S3_URL: s3.url } });
  const [ada] = await makePeople(node, 1) as [Person];
  const post = await ada.post("in a bucket", { photos: [photo] });
  assert.equal(post.state, "ready");
  assert.ok(!(await childrenOf(node.pid)).some(({ command }) => command.includes("workers/children/storage.ts")));
  const response = await fetch(node.url + post.photos[0].url);
  assert.deepEqual([response.status, response.headers.get("content-type")], [200, "image/jpeg"]);
  await response.body?.cancel();
  await ada.do("DELETE", `/posts/${post.id}`);
  assert.equal((await fetch(node.url + post.photos[0].url)).status, 404);
});
