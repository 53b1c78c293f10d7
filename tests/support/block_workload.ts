/**
 * Concurrent posts and blocks: nothing of a page is shown while it is blocked, on any node.
 */
import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { sleep } from "../../lib/sleep.ts";
import { Listener, type LiveEvent } from "./listener.ts";
import type { Person } from "./person.ts";
import { type Seeded } from "./seeded.ts";
import { Standstills } from "./standstills.ts";
import { until } from "./wait.ts";

/** How late this busy process may read a frame that was sent before the answer, unless it stood still. */
const LATE_MS = 1_000;

export interface BlockWorkload {
  admin: Person;
  /** Writes on an own page, which is blocked. */
  ann: Person;
  /** Writes on the personal page. The account is blocked. */
  carl: Person;
  /** Posts after each answer. */
  mark: Person;
  /**
   * Who listens, wherever. All come back when they are let go; the last one also goes by itself, unless something
   * disturbs.
   */
  readers: Person[];
  sql: Sql;
  rounds: number;
  /** The maximum length of a block, in milliseconds. */
  maxMs?: number;
  /** Runs concurrently until the end. */
  disturb?: (over: () => boolean) => Promise<void>;
}

const pageOf = ({ data }: LiveEvent): string | undefined => data.page?.id ?? data.page_id;

/** Writes on a page until the end, with any answer. */
async function write(by: Person, page: string, random: Seeded, over: () => boolean): Promise<number> {
  let written = 0;
  while (!over()) {
    const { status, body } = await by.call("POST", `/pages/${page}/posts`, { text: `post ${written}` });
    assert.ok([201, 401, 403].includes(status), `${status} ${JSON.stringify(body)}`);
    if (status === 201) {
      written++;
      if (random.chance(0.5)) await by.call("PUT", `/posts/${body.id}/like`);
      if (random.chance(0.3)) await by.call("PATCH", `/posts/${body.id}`, { text: "edited" });
    } else await sleep(20);
  }
  return written;
}

/** Disconnects and reconnects until the end. */
async function leave(listener: Listener<Person>, random: Seeded, over: () => boolean): Promise<void> {
  while (!over()) {
    await sleep(random.whole(5, 150));
    listener.cut();
    await until("a listener is back", () => listener.connected);
  }
}

/**
 * Reconnects after each close with the last received cursor. A node that was suspended closes all sockets, and any node
 * closes slow ones. It may reject listeners for a while.
 */
async function comeBack(listener: Listener<Person>, over: () => boolean): Promise<void> {
  while (!over()) {
    if (!listener.connected) await listener.connect().catch(() => {});
    await sleep(5);
  }
}

export async function blockWorkload(random: Seeded, workload: BlockWorkload): Promise<void> {
  const { admin, ann, carl, mark, readers, sql, rounds, maxMs = 250, disturb } = workload;
  const page = (await ann.do("POST", "/pages", { name: "a page" })).id;
  for (const reader of readers) {
    for (const followed of [page, carl.page_id, mark.page_id]) await reader.do("PUT", `/pages/${followed}/follow`);
  }
  const listeners = await Promise.all(readers.map((reader) => Listener.open(reader)));
  using standstills = new Standstills();
  let over = false;
  let heard = false;
  const writing = [write(ann, page, random, () => over), write(carl, carl.page_id, random, () => over)];
  const coming = listeners.map((listener) => comeBack(listener, () => heard));
  const disturbing = disturb ? disturb(() => over) : leave(listeners.at(-1)!, random, () => over);

  const blocks = { page: `/pages/${page}/block`, account: `/users/${carl.id}/block` };
  const hiddenBy = { page: page as string, account: carl.page_id };
  const marks: Mark[] = [];
  const lifts: Record<string, number[]> = { [hiddenBy.page]: [], [hiddenBy.account]: [] };
  const pause = (mostMs = 250) => new Promise((resolve) => setTimeout(resolve, random.whole(20, mostMs)));
  for (let round = 0; round < rounds; round++) {
    const what = random.pick(["page", "account"] as const);
    await pause();
    await admin.do("POST", blocks[what], {
      reason: "a workload",
      until: new Date(Date.now() + 3_600_000).toISOString(),
    });
    const answeredAt = performance.now();
    marks.push({ page: hiddenBy[what], mark: (await mark.post("mark")).id, answeredAt });
    await pause(maxMs);
    lifts[hiddenBy[what]]!.push(performance.now());
    await admin.do("DELETE", blocks[what]);
    // The block has ended the session.
    if (what === "account") await carl.signIn();
  }
  over = true;
  const written = await Promise.all(writing);
  await disturbing;
  const last = await mark.post("the end");
  assert.ok(written.every((count) => count > 5), `${written}`);
  for (const listener of listeners) await listener.heard("the end", ({ data }) => data.id === last.id);
  heard = true;
  await Promise.all(coming);

  await checkFrames(listeners, { sql, marks, lifts, mark, standstills });
  for (const listener of listeners) listener.cut();
}

/** What is known of the blocks. */
interface Blocks {
  sql: Sql;
  marks: Mark[];
  /** By page: when the end of each block was requested. */
  lifts: Record<string, number[]>;
  mark: Person;
  standstills: Standstills;
}

/** Of an answered block, when that was, and the post that was made after the answer. */
interface Mark {
  page: string;
  mark: string;
  answeredAt: number;
}

/** No frame of a page that is hidden, except in a replay after its end. */
async function checkFrames(listeners: readonly Listener<Person>[], blocks: Blocks): Promise<void> {
  const { sql, marks, lifts, mark, standstills } = blocks;
  const turns = await sql.query<{ seq: number; kind: string; page_id: string }>(
    "select seq, kind, page_id from events where kind in ('page.hidden', 'page.shown') order by seq",
  );
  const isHiddenAt = (page: string, seq: number) =>
    turns.findLast((turn) => turn.page_id === page && turn.seq <= seq)?.kind === "page.hidden";
  /** A replay shows missed events of a page that is visible again, also from the time when it was hidden. */
  const isReplayed = ({ at, seq, connection }: LiveEvent, page: string) => {
    const nth = turns.filter((turn) => turn.page_id === page && turn.kind === "page.hidden" && turn.seq <= seq).length;
    return connection > 1 && at >= lifts[page]![nth - 1]!;
  };
  for (const listener of listeners) {
    const { events: frames, person } = listener;
    const hidden = new Set<string>();
    let shown = 0;
    for (const [i, frame] of frames.entries()) {
      const about = pageOf(frame)!;
      if (frame.type === "page.hidden") hidden.add(about);
      else if (frame.type === "page.shown") hidden.delete(about);
      else if (frame.type.startsWith("post.")) {
        const where = `${person.login}, frame ${i}: ${frame.type} ${frame.seq} of ${about}`;
        if (hidden.has(about) || isHiddenAt(about, frame.seq)) {
          assert.ok(isReplayed(frame, about), `${where} while it is hidden`);
        }
        const made = marks.find(({ mark }) => mark === frame.data.id && frame.type === "post.created");
        if (made) assert.ok(hidden.has(made.page), `${where}: the answer came before ${made.page} was hidden`);
        const late = marks.find(({ page, answeredAt }, nth) => {
          const lifted = lifts[page]![marks.slice(0, nth + 1).filter((each) => each.page === page).length - 1]!;
          if (page !== about || frame.at <= answeredAt + LATE_MS || frame.at >= lifted) return false;
          return frame.at - standstills.within(answeredAt, frame.at) > answeredAt + LATE_MS;
        });
        assert.ok(!late, `${where}: ${Math.round(frame.at - (late?.answeredAt ?? 0))} ms after the answer`);
        if (about !== mark.page_id) shown++;
      }
    }
    assert.ok(shown > 5, `${person.login} was shown only ${shown} frames`);
    assert.equal(frames.filter(({ data }) => marks.some(({ mark }) => mark === data.id)).length, marks.length);
  }
}
