import assert from "node:assert/strict";
import { type HeardFrame, LiveListener } from "../support/live_listener.ts";
import { NodeProcess } from "../support/node_process.ts";
import { administrator, call, makePeople, type Person } from "../support/person.ts";
import { type Seeded, seededTest } from "../support/seeded.ts";

const ROUNDS = 14;

const pageOf = ({ data }: HeardFrame): string | undefined => data.page?.id ?? data.page_id;

/** Writes on a page for as long as it may, whatever comes back. */
async function write(by: Person, page: string, random: Seeded, over: () => boolean): Promise<number> {
  let written = 0;
  while (!over()) {
    const { status, body } = await by.call("POST", `/pages/${page}/posts`, { text: `post ${written}` });
    assert.ok([201, 401, 403].includes(status), `${status} ${JSON.stringify(body)}`);
    if (status === 201) {
      written++;
      if (random.chance(0.5)) await by.call("PUT", `/posts/${body.id}/like`);
      if (random.chance(0.3)) await by.call("PATCH", `/posts/${body.id}`, { text: "edited" });
    } else await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return written;
}

/** Comes and goes, each time with the last cursor heard. */
async function flicker(listener: LiveListener, random: Seeded, over: () => boolean): Promise<void> {
  while (!over()) {
    await new Promise((resolve) => setTimeout(resolve, random.whole(5, 150)));
    listener.cut();
    await listener.connect();
  }
}

seededTest(
  "Amid posting, no listener is shown anything of a page between its block and the end of it",
  async (random) => {
    await using node = await NodeProcess.start();
    const admin = await administrator(node);
    const [ann, carl, mark, ...readers] = await makePeople(node, 6) as [Person, Person, Person, ...Person[]];
    const page = (await ann.do("POST", "/pages", { name: "a page" })).id;
    for (const reader of readers) {
      for (const followed of [page, carl.page, mark.page]) await reader.do("PUT", `/pages/${followed}/follow`);
    }
    const listeners = await Promise.all(readers.map((reader) => LiveListener.open(reader)));
    let over = false;
    const writing = [write(ann, page, random, () => over), write(carl, carl.page, random, () => over)];
    const flickering = flicker(listeners[2]!, random, () => over);

    const blocks = { page: `/pages/${page}/block`, account: `/users/${carl.id}/block` };
    const hiddenBy = { page: page as string, account: carl.page };
    /** Of each answered block, the post that was made after the answer. */
    const marks: { page: string; mark: string }[] = [];
    /** By page, when each of its blocks was asked to be lifted. */
    const lifts: Record<string, number[]> = { [hiddenBy.page]: [], [hiddenBy.account]: [] };
    const pause = () => new Promise((resolve) => setTimeout(resolve, random.whole(20, 250)));
    for (let round = 0; round < ROUNDS; round++) {
      const what = random.pick(["page", "account"] as const);
      await pause();
      await admin.do("POST", blocks[what], {
        reason: "a storm",
        until: new Date(Date.now() + 3_600_000).toISOString(),
      });
      marks.push({ page: hiddenBy[what], mark: (await mark.post("mark")).id });
      await pause();
      lifts[hiddenBy[what]]!.push(performance.now());
      await admin.do("DELETE", blocks[what]);
      // The block has ended the session.
      if (what === "account") await carl.signIn();
    }
    over = true;
    const written = await Promise.all(writing);
    await flickering;
    const last = await mark.post("the end");
    assert.ok(written.every((count) => count > 5), `${written}`);
    for (const listener of listeners) await listener.heard("the end", ({ data }) => data.id === last.id);

    const turns = await node.sql.query<{ seq: number; kind: string; page_id: string }>(
      "select seq, kind, page_id from events where kind in ('page.hidden', 'page.shown') order by seq",
    );
    const isHiddenAt = (page: string, seq: number) =>
      turns.findLast((turn) => turn.page_id === page && turn.seq <= seq)?.kind === "page.hidden";
    /** A replay tells what was missed of a page that may be seen again, also of the time when it could not be. */
    const isReplayed = (listener: LiveListener, { at, seq }: HeardFrame, page: string) => {
      const nth =
        turns.filter((turn) => turn.page_id === page && turn.kind === "page.hidden" && turn.seq <= seq).length;
      return listener === listeners[2] && at >= lifts[page]![nth - 1]!;
    };
    for (const listener of listeners) {
      const { frames, person } = listener;
      const hidden = new Set<string>();
      let shown = 0;
      for (const [i, frame] of frames.entries()) {
        const about = pageOf(frame)!;
        if (frame.type === "page.hidden") hidden.add(about);
        else if (frame.type === "page.shown") hidden.delete(about);
        else if (frame.type.startsWith("post.")) {
          const where = `${person.login}, frame ${i}: ${frame.type} ${frame.seq} of ${about}`;
          if (hidden.has(about) || isHiddenAt(about, frame.seq)) {
            assert.ok(isReplayed(listener, frame, about), `${where} while it is hidden`);
          }
          const made = marks.find(({ mark }) => mark === frame.data.id && frame.type === "post.created");
          if (made) assert.ok(hidden.has(made.page), `${where}: the answer came before ${made.page} was hidden`);
          if (about !== mark.page) shown++;
        }
      }
      assert.ok(shown > 5, `${person.login} was shown only ${shown} frames`);
      assert.equal(frames.filter(({ data }) => marks.some(({ mark }) => mark === data.id)).length, marks.length);
    }
    for (const listener of listeners) listener.cut();
    assert.equal((await call(node.url, "GET", "/feed", { token: readers[0]!.token })).status, 200);
  },
);
