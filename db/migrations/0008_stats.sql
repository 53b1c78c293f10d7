-- By how much the likes of a post changed since that was last told; a post's count is what was told and this.
alter table like_signals add column change int not null default 0;

-- By how much each page's numbers changed on each day (UTC): what the events said that may be forgotten by now. The statistics
-- service is rebuilt from this and from the events after the position of the consumer `page_days`.
create table page_days (
  page_id uuid not null,
  day date not null,
  posts int not null default 0,
  followers int not null default 0,
  requests int not null default 0,
  likes int not null default 0,
  replies int not null default 0,
  primary key (page_id, day)
);
-- While somebody copies them, the days stay as they are.
alter table consumers add column held_until timestamptz;
insert into consumers (name, seq) select 'page_days', seq from sequencer;

-- Of the time before, what the tables still know: nothing of what was taken back.
insert into page_days (page_id, day, posts, followers, requests, likes, replies)
select n.page_id, n.day, sum(n.posts), sum(n.followers), sum(n.requests), sum(n.likes), sum(n.replies) from (
  select page_id, (published_at at time zone 'UTC')::date as day, 1 as posts, 0 as followers, 0 as requests, 0 as likes, 0 as replies
  from posts where state = 'ready'
  union all
  select page_id, (created_at at time zone 'UTC')::date, 0, (state = 'following')::int, (state = 'requested')::int, 0, 0 from follows
  union all
  select p.page_id, (l.created_at at time zone 'UTC')::date, 0, 0, 0, 1, 0 from likes l join posts p on p.id = l.post_id
  union all
  select o.page_id, (r.published_at at time zone 'UTC')::date, 0, 0, 0, 0, 1
  from posts r join posts o on o.id = r.reply_to where r.state = 'ready') n
join pages g on g.id = n.page_id where g.deleted_at is null
group by n.page_id, n.day;
