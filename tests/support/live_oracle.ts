/**
 * The events that a listener must have received, from the `events` table alone. Between two moments at which the
 * listener had caught up, an event is required if its page was in the feed and visible from the event to the end. It is
 * allowed if that was so at any moment since, because a resumed stream shows what the feed shows then.
 */
import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import type { LiveEvent } from "./listener.ts";

export interface EventRow {
  seq: number;
  kind: string;
  page_id: string | null;
  post_id: string | null;
  user_id: string | null;
  reason: string | null;
  state: string | null;
  /** The pages with replies, if some of them are not visible to everyone. */
  withheld: string[] | null;
}

export async function readEvents(sql: Sql, after: number, upTo: number): Promise<EventRow[]> {
  return await sql.query<EventRow>(
    `select seq, kind, page_id, post_id, user_id, data->>'reason' as reason, data->>'state' as state,
      data->'withheld' as withheld
    from events where seq > $1 and seq <= $2 order by seq`,
    [after, upTo],
  );
}

/**
 * The positions of required notifications in a stretch: visible ones that were neither undone nor hidden in between.
 * Without likes: a like that is removed while it is sent, and added again, is not new.
 */
export async function notificationsToHear(
  sql: Sql,
  user: string,
  after: number,
  upTo: number,
): Promise<{ position: number; kind: string }[]> {
  return await sql.query<{ position: number; kind: string }>(
    `select n.position, n.kind from visible_notifications($1) n
    where n.position > $2 and n.position <= $3 and n.kind <> 'like'
      and (n.kind not in ('follower', 'request') or exists (
        select from follows f where f.page_id = n.about and f.user_id = n.who and f.created_at <= n.at))
      and (n.kind <> 'accepted' or exists (
        select from follows f where f.page_id = n.about and f.user_id = n.user_id and f.created_at <= n.at))
      and not exists (
        select from events e
        where e.page_id = n.page_id and e.kind in ('page.hidden', 'page.shown') and e.seq > $2 and e.seq <= $3)
      -- A person who left a private page and came back saw nothing of it in between.
      and not (n.kind in ('reply', 'tag')
        and exists (select from pages p join users u on u.id = $1
          where p.id = n.page_id and p.is_private and p.owner_id <> u.id and u.role = 'user')
        and exists (select from events e
          where e.page_id = n.page_id and e.kind = 'follow.changed' and e.user_id = $1
            and e.data->>'state' = 'following' and e.seq > n.position and e.seq <= $3))`,
    [user, after, upTo],
  );
}

/** Events with a state: of several only the last is required. */
const LATEST = new Set([
  "post.likes",
  "replies.changed",
  "page.updated",
  "follow.changed",
  "post.liked",
  "notifications.read",
]);
/** Events for the sockets of one account. */
const OWN = new Set(["page.hidden", "page.shown", "follow.changed", "post.liked", "notifications.read"]);
/** Frames with a name other than that of their events. */
const TYPES = new Map([["follow.changed", "following.changed"], ["replies.changed", "post.replies"]]);

type Audience = "none" | "pages" | "posts";

/** One listener's feed, updated with the events. */
export class LiveOracle {
  readonly pages = new Set<string>();
  readonly #blocked = new Set<string>();

  constructor(readonly user: string, private readonly staff: boolean, pages: Iterable<string>) {
    for (const page of pages) this.pages.add(page);
  }

  /** The required and the allowed events of a stretch. Moves to its end. */
  take(events: readonly EventRow[]): { must: EventRow[]; may: Set<number> } {
    const gone = new Map<string, number>();
    const last = new Map<string, number>();
    const stateOf = ({ kind, page_id, post_id, user_id }: EventRow) => `${kind} ${page_id} ${post_id} ${user_id}`;
    const changes = new Map<string, { seq: number; audience: Audience }[]>();
    const buried = new Map<string, number>();
    const ever = new Set(this.pages);
    const steady = new Set([...this.pages].filter((page) => !this.#blocked.has(page)));
    for (const event of events) {
      const page = event.page_id;
      if (event.kind === "post.deleted") gone.set(event.post_id!, event.seq);
      if (page && event.reason === "deleted") buried.set(page, event.seq);
      if (!page) continue;
      if (!changes.has(page)) changes.set(page, [{ seq: 0, audience: this.#audience(page) }]);
      this.#move(event, page);
      if (this.pages.has(page)) ever.add(page);
      if (!this.pages.has(page) || this.#blocked.has(page)) steady.delete(page);
      changes.get(page)!.push({ seq: event.seq, audience: this.#audience(page) });
    }
    const isOne = ({ withheld }: EventRow, pages: Set<string>) =>
      withheld === null || this.staff || withheld.some((page) => pages.has(page));
    for (const event of events) {
      if (LATEST.has(event.kind) && isOne(event, ever)) last.set(stateOf(event), event.seq);
    }
    const must: EventRow[] = [];
    const may = new Set<number>();
    for (const event of events) {
      // Required ones are found in the notifications.
      if (event.kind === "notification" && event.user_id === this.user) may.add(event.seq);
      const needed = neededFor(event, this.user);
      if (!needed || !isOne(event, ever)) continue;
      if (needed === "none") {
        may.add(event.seq);
        if ((last.get(stateOf(event)) ?? event.seq) === event.seq) must.push(event);
        continue;
      }
      const steps = changes.get(event.page_id!)!;
      const before = steps.findLast(({ seq }) => seq < event.seq)!;
      const after = steps.filter(({ seq }) => seq >= event.seq);
      const suits = ({ audience }: { audience: Audience }) => audience === "posts" || audience === needed;
      if (!suits(before) && !after.some(suits)) continue;
      may.add(event.seq);
      const farewell = event.reason === "deleted";
      if (!farewell && !(suits(before) && after.every(suits))) continue;
      if (farewell && !suits(before)) continue;
      if (
        needed === "posts" && event.kind !== "post.deleted" && (gone.has(event.post_id!) || buried.has(event.page_id!))
      ) continue;
      if (LATEST.has(event.kind) && last.get(stateOf(event)) !== event.seq) continue;
      if (!isOne(event, steady)) continue;
      must.push(event);
    }
    return { must, may };
  }

  #audience(page: string): Audience {
    if (!this.pages.has(page)) return "none";
    return this.#blocked.has(page) && !this.staff ? "pages" : "posts";
  }

  #move(event: EventRow, page: string): void {
    if (event.kind === "follow.changed" && event.user_id === this.user) {
      if (event.state === "following" || event.state === "own") this.pages.add(page);
      else this.pages.delete(page);
    }
    if (event.user_id !== null) return;
    if (event.kind === "page.hidden" && event.reason === "deleted") this.pages.delete(page);
    if (event.kind === "page.hidden" && event.reason === "blocked") this.#blocked.add(page);
    if (event.kind === "page.shown") this.#blocked.delete(page);
  }
}

/** The relation to the event's page that a listener needs; undefined for events that are not sent. */
function neededFor(event: EventRow, user: string): Audience | undefined {
  if (event.user_id !== null) return OWN.has(event.kind) && event.user_id === user ? "none" : undefined;
  if (event.kind === "page.hidden" || event.kind === "page.shown") return "pages";
  const shows = event.kind.startsWith("post.") || event.kind === "replies.changed" || event.kind === "page.updated";
  return shows ? "posts" : undefined;
}

/**
 * Frames of a connection are in order, and an event has one id in every connection.
 */
export function assertOrderly(
  frames: readonly LiveEvent[],
  events: ReadonlyMap<number, EventRow>,
  seqOfId: Map<string, number>,
): void {
  const last = new Map<number, number>();
  for (const frame of frames) {
    const row = events.get(frame.seq);
    assert.ok(row, `a frame at ${frame.seq}, where there is no event`);
    if (!seqOfId.has(frame.id)) seqOfId.set(frame.id, frame.seq);
    assert.equal(frame.seq, seqOfId.get(frame.id), `the event of the id ${frame.id}`);
    assert.equal(frame.type, TYPES.get(row.kind) ?? row.kind, `the type of ${frame.seq}`);
    const before = last.get(frame.connection) ?? 0;
    assert.ok(frame.seq > before, `${frame.seq} came after ${before} in connection ${frame.connection}`);
    last.set(frame.connection, frame.seq);
  }
}
