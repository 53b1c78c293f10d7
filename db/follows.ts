import { defineCommit, eventRow } from "./turn_statement.ts";
import type { After } from "./keyset.ts";
import type { Reader } from "./sql.ts";
import type { CardRow } from "./users.ts";

const REMOVED = `'{"reason": "removed"}'::jsonb`;
/** A request ended without acceptance. */
const REJECTED = `'{"state": "none", "counts": {"requests": -1}}'::jsonb`;
/** A request was accepted. */
export const ACCEPTED = `'{"state": "following", "accepted": true, "counts": {"followers": 1, "requests": -1}}'::jsonb`;
/** Following, or a request, ended: `state` is the previous state. */
export const ENDED = `jsonb_build_object('state', 'none', 'counts', jsonb_build_object(${counted("state")}, -1))`;

/** The count that a state of following belongs to. */
function counted(state: string): string {
  return `case ${state} when 'following' then 'followers' else 'requests' end`;
}

export type FollowState = "following" | "requested" | "none";

/** Followers or requests of a page, latest first. */
export async function followersOf(
  sql: Reader,
  pageId: string,
  { state, limit, after }: { state: "following" | "requested"; limit: number; after?: After | undefined },
): Promise<(CardRow & { followed_at: string })[]> {
  return await sql.query(
    `select u.id, u.login, u.first_name, u.last_name, u.page_id, u.avatar_key, f.created_at as followed_at
    from follows f join users u on u.id = f.user_id
    where f.page_id = $1 and f.state = $2
      and ($3::timestamptz is null or (f.created_at, f.user_id) < ($3::timestamptz, $4::uuid))
    order by f.created_at desc, f.user_id desc limit $5`,
    [pageId, state, after?.at ?? null, after?.id ?? null, limit],
    "follow.of_page",
  );
}

export interface FollowRow {
  page_id: string;
  user_id: string;
  state: "following" | "requested";
  at: string;
}

/** Follows or requests to follow. An existing state is kept and returned. */
export const follow = defineCommit<FollowRow, { state: FollowState }>("page.follow", {
  columns: "page_id uuid, user_id uuid, state text, at timestamptz",
  body: `previous as materialized (
  select t.turn, f.state from turns t join follows f on f.page_id = t.page_id and f.user_id = t.user_id),
-- Deleting an account locks it before the sequencer. The foreign key would be checked after that.
locked_users as materialized (
  select u.id from users u where u.id in (select user_id from turns) order by u.id for key share),
new_follows as (
  insert into follows (page_id, user_id, state, created_at)
  select page_id, user_id, state, at from turns where user_id in (select id from locked_users)
  on conflict do nothing returning page_id, user_id, state, created_at),
page_counts as (
  update pages p set follower_count = p.follower_count + f.followers, request_count = p.request_count + f.requests
  from (select page_id, count(*) filter (where state = 'following') as followers,
      count(*) filter (where state = 'requested') as requests from new_follows group by page_id order by page_id) f
  where p.id = f.page_id)`,
  events: eventRow("follow.changed", {
    page: "page_id",
    user: "user_id",
    data: `jsonb_build_object('state', state, 'counts', jsonb_build_object(${counted("state")}, 1))`,
    at: "created_at",
    from: "new_follows",
  }),
  select: `select t.turn, jsonb_build_object('state', coalesce(h.state, t.state)) as result
    from turns t left join previous h on h.turn = t.turn`,
});

export interface UnfollowRow {
  page_id: string;
  user_id: string;
  /** Whether the owner of a private page removed the follower, who can no longer see it. */
  loses_sight: boolean;
  at: string;
}

/** Ends following or withdraws a request. */
export const unfollow = defineCommit<UnfollowRow, { had: FollowState }>("page.unfollow", {
  columns: "page_id uuid, user_id uuid, loses_sight boolean, at timestamptz",
  body: `ended_follows as (
  delete from follows f using turns t where f.page_id = t.page_id and f.user_id = t.user_id
  returning f.page_id, f.user_id, f.state, t.turn, t.loses_sight, t.at),
page_counts as (
  update pages p set follower_count = p.follower_count - f.followers, request_count = p.request_count - f.requests
  from (select page_id, count(*) filter (where state = 'following') as followers,
      count(*) filter (where state = 'requested') as requests from ended_follows group by page_id order by page_id) f
  where p.id = f.page_id)`,
  events: `${
    eventRow("page.hidden", {
      page: "page_id",
      user: "user_id",
      data: REMOVED,
      from: "ended_follows where loses_sight and state = 'following'",
    })
  } union all ${
    eventRow("follow.changed", { rank: 2, page: "page_id", user: "user_id", data: ENDED, from: "ended_follows" })
  }`,
  select: `select t.turn, jsonb_build_object('had', coalesce(e.state, 'none')) as result
    from turns t left join ended_follows e on e.turn = t.turn`,
});

export interface AnswerRequestsRow {
  page_id: string;
  /** Null means all requests. */
  user_ids: string[] | null;
  accept: boolean;
  at: string;
}

/** Accepts or rejects requests: all of the named ones, or none if one does not exist; the missing ones are returned. */
export const answerRequests = defineCommit<AnswerRequestsRow, { strangers: string[]; answered: number }>(
  "page.answer_requests",
  {
    columns: "page_id uuid, user_ids uuid[], accept boolean, at timestamptz",
    body: `strangers as materialized (
  select t.turn, array_agg(n.user_id) as ids from turns t cross join lateral unnest(t.user_ids) n (user_id)
  where not exists (
    select from follows f where f.page_id = t.page_id and f.user_id = n.user_id and f.state = 'requested')
  group by t.turn),
valid_turns as materialized (
  select t.* from turns t where not exists (select from strangers s where s.turn = t.turn)),
accepted_requests as (
  update follows f set state = 'following', created_at = t.at from valid_turns t
  where t.accept and f.page_id = t.page_id and f.state = 'requested'
    and (t.user_ids is null or f.user_id = any(t.user_ids))
  returning t.turn, f.page_id, f.user_id, t.at),
rejected_requests as (
  delete from follows f using valid_turns t
  where not t.accept and f.page_id = t.page_id and f.state = 'requested'
    and (t.user_ids is null or f.user_id = any(t.user_ids))
  returning t.turn, f.page_id, f.user_id, t.at),
answered_requests as materialized (
  select turn, page_id, user_id, at, 'following' as state from accepted_requests
  union all select turn, page_id, user_id, at, 'none' from rejected_requests),
page_counts as (
  update pages p set follower_count = p.follower_count + n.accepted, request_count = p.request_count - n.answered
  from (select page_id, count(*) filter (where state = 'following') as accepted, count(*) as answered
    from answered_requests group by page_id order by page_id) n
  where p.id = n.page_id)`,
    events: eventRow("follow.changed", {
      page: "page_id",
      user: "user_id",
      data: `case when state = 'following' then ${ACCEPTED} else ${REJECTED} end`,
      from: "answered_requests",
    }),
    select: `select t.turn, jsonb_build_object('strangers',
        coalesce((select to_jsonb(s.ids) from strangers s where s.turn = t.turn), '[]'),
      'answered', (select count(*) from answered_requests a where a.turn = t.turn)) as result
    from turns t`,
  },
);
