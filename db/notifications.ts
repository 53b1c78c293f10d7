import { defineCommit, eventRow } from "./turn_statement.ts";
import type { Reader, Writer } from "./sql.ts";
import { CARD, type CardRow } from "./users.ts";

/** The kinds of notifications in the app. */
export const NOTIFICATION_KINDS = ["follower", "request", "accepted", "like", "reply", "tag"] as const;
export type NotificationKind = typeof NOTIFICATION_KINDS[number];

/** When emails about new posts are sent. */
export const LETTER_TIMES = ["at_once", "daily", "never"] as const;
export type LetterTime = typeof LETTER_TIMES[number];

export interface NotificationRow {
  id: string;
  kind: NotificationKind;
  at: string;
  /** The position of the latest event of the notification. */
  position: number;
  unread: boolean;
  /** The number of people: of likes all, otherwise one. */
  count: number;
  /** Some of the people, latest first. */
  actors: CardRow[];
  page: { id: string; uuid: string; name: string; avatar_key: string | null };
  post: { id: string; text: string } | null;
}

/** Characters of a post that a notification quotes. */
const QUOTED = 200;
/** Counting stops here, as larger numbers make no difference to a reader (`docs/limits.md`). */
export const MAX_COUNTED = 1_000;

const UNBLOCKED = "(u.blocked_until is null or u.blocked_until <= now())";

/** Of likes, the named people who still like the post or, if none does, somebody else. */
const ACTORS = `case when n.kind = 'like' then coalesce(
    (select json_agg(${CARD} order by array_position(n.actors, u.id)) from users u
      where u.id = any (n.actors) and u.id <> n.user_id and ${UNBLOCKED}
        and exists (select from likes l where l.post_id = n.post_id and l.user_id = u.id)),
    (select json_agg(${CARD}) from (
      select u.* from likes l join users u on u.id = l.user_id
      where l.post_id = n.post_id and l.user_id <> n.user_id and ${UNBLOCKED} limit 1) u))
  else (select json_agg(${CARD}) from users u where u.id = n.actors[1]) end`;

/** The columns of a `NotificationRow`, of `visible_notifications n` with settings `s`. */
const COLUMNS = `n.id, n.kind, n.at, n.position, n.position > coalesce(s.read_position, 0) as unread,
  case when n.kind = 'like'
    then p.like_count - (select count(*) from likes l where l.post_id = p.id and l.user_id = n.user_id)
    - (select count(*) from users b join likes l on l.post_id = p.id and l.user_id = b.id
      where b.blocked_until is not null and b.blocked_until > now() and b.id <> n.user_id)
    else 1 end as count, ${ACTORS} as actors,
  json_build_object('id', g.id, 'uuid', g.uuid, 'name', g.name, 'avatar_key', g.avatar_key) as page,
  case when p.id is not null then json_build_object('id', p.id, 'text', left(p.text, ${QUOTED})) end as post`;
const JOINS = `join pages g on g.id = n.page_id left join posts p on p.id = n.post_id
  left join notification_settings s on s.user_id = n.user_id`;

/** Latest first. */
export async function notificationsOf(
  sql: Reader,
  user: string,
  { limit, before }: { limit: number; before?: number | undefined },
): Promise<NotificationRow[]> {
  return await sql.query<NotificationRow>(
    `select ${COLUMNS} from visible_notifications($1) n ${JOINS}
    where $2::bigint is null or n.position < $2 order by n.position desc limit $3`,
    [user, before ?? null, limit],
    "notification.list",
  );
}

/** The number of unread ones, up to a limit. */
export async function unreadNotifications(sql: Reader, user: string): Promise<number> {
  const [row] = await sql.query<{ n: number }>(
    `select count(*) as n from (
      select from visible_notifications($1) n
      where n.position > coalesce((select read_position from notification_settings where user_id = $1), 0)
      -- In any order: a sort would look at all of them first.
      limit ${MAX_COUNTED}) n`,
    [user],
    "notification.unread",
  );
  return row?.n ?? 0;
}

/** The same for several people. */
export async function unreadOfAll(sql: Reader, users: readonly string[]): Promise<Map<string, number>> {
  const rows = await sql.query<{ id: string; n: number }>(
    `select u.id, (select count(*) from (
        select from visible_notifications(u.id) n where n.position > coalesce(s.read_position, 0)
          limit ${MAX_COUNTED}) n) as n
    from unnest($1::uuid[]) u (id) left join notification_settings s on s.user_id = u.id`,
    [[...users]],
    "notification.unread_of_all",
  );
  return new Map(rows.map(({ id, n }) => [id, n]));
}

/** A notification as its owner sees it, with the unread count. */
export type LiveNotificationRow = NotificationRow & { unread_count: number };

/** The current state of the notifications of events; those that their owner cannot see are missing. */
export async function liveNotifications(
  sql: Reader,
  ids: readonly string[],
): Promise<Map<string, LiveNotificationRow>> {
  const rows = await sql.query<LiveNotificationRow>(
    `with wanted as materialized (select id, user_id from notifications where id = any($1::uuid[])),
    -- Once for each person, however many notifications they get.
    counts as materialized (
      select u.user_id, (select count(*) from (
          select from visible_notifications(u.user_id) o where o.position > coalesce(s.read_position, 0)
            limit ${MAX_COUNTED}) o) as unread
      from (select distinct user_id from wanted) u left join notification_settings s on s.user_id = u.user_id)
    select ${COLUMNS}, c.unread as unread_count
    from wanted w cross join lateral (select * from visible_notifications(w.user_id) v where v.id = w.id) n ${JOINS}
      join counts c on c.user_id = n.user_id`,
    [[...ids]],
    "notification.live",
  );
  return new Map(rows.map((row) => [row.id, row]));
}

export interface NotificationSettings {
  letters: LetterTime;
  /** Kinds that are not shown. */
  muted: NotificationKind[];
}

export async function notificationSettings(sql: Reader, user: string): Promise<NotificationSettings> {
  const [row] = await sql.query<NotificationSettings>(
    "select letters, muted from notification_settings where user_id = $1",
    [user],
    "notification.settings",
  );
  return row ?? { letters: "at_once", muted: [] };
}

export interface ChangeSettingsRow {
  user_id: string;
  /** Null leaves it unchanged. */
  letters: LetterTime | null;
  mute: readonly NotificationKind[];
  unmute: readonly NotificationKind[];
}

/** Returns the new settings. */
export const changeNotificationSettings = defineCommit<ChangeSettingsRow, NotificationSettings>(
  "notification.change_settings",
  {
    columns: "user_id uuid, letters text, mute text[], unmute text[]",
    body: `changed_settings as (
  insert into notification_settings as s (user_id, letters, muted) select user_id, coalesce(letters, 'at_once'), mute
    from turns
  on conflict (user_id) do update set
    letters = coalesce((select t.letters from turns t where t.user_id = s.user_id), s.letters),
    muted = array(
      select k from unnest(s.muted || excluded.muted) k
      where k <> all ((select t.unmute from turns t where t.user_id = s.user_id)::text[]) group by k order by k)
  returning s.user_id, s.letters, s.muted)`,
    select: `select t.turn, jsonb_build_object('letters', c.letters, 'muted', c.muted) as result
    from turns t join changed_settings c on c.user_id = t.user_id`,
    violations: { notification_settings_user_id_fkey: "token-invalid" },
  },
);

/** Marks everything up to a position as read, or everything; never less than before. */
export const readNotifications = defineCommit<{ user_id: string; up_to: number | null }, Record<string, never>>(
  "notification.read",
  {
    columns: "user_id uuid, up_to bigint",
    body: `previous as materialized (
  select s.user_id, s.read_position from notification_settings s join turns t on t.user_id = s.user_id),
read_marks as (
  insert into notification_settings as s (user_id, read_position)
  -- Without a position the null is ignored by least().
  select t.user_id, least(t.up_to, (select seq from sequencer)) from turns t
  on conflict (user_id) do update set read_position = greatest(s.read_position, excluded.read_position)
  returning s.user_id, s.read_position)`,
    // For the other sockets. The number of unread ones is counted when it is shown.
    events: eventRow("notifications.read", {
      user: "r.user_id",
      at: "now()",
      from: `read_marks r left join previous h on h.user_id = r.user_id
          where r.read_position > coalesce(h.read_position, 0)`,
    }),
    select: "select turn, '{}'::jsonb as result from turns",
    violations: { notification_settings_user_id_fkey: "token-invalid" },
  },
);

/** Deletes old notifications, in limited batches. */
export async function pruneNotifications(sql: Writer, keptMs: number, most: number): Promise<number> {
  const rows = await sql.execute(
    `delete from notifications where id in (
      select id from notifications where at < now() - $1 * interval '1 millisecond' order by at limit $2
        for update skip locked)
    returning 1`,
    [keptMs, most],
    "notification.forget",
  );
  return rows.length;
}
