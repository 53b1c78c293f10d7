-- Jobs of each kind are claimed apart.
drop index jobs_due;
create index jobs_due on jobs (kind, run_at) where state = 'waiting';
-- An earlier try ended without saying how, as by a crash.
alter table jobs add column abandoned boolean not null default false;
-- Listed by it, with cursors that know milliseconds.
alter table jobs alter column created_at set default date_trunc('milliseconds', now());
update jobs set created_at = date_trunc('milliseconds', created_at);
create index jobs_listed on jobs (state, created_at desc, id desc);

-- How far whoever reads all events, in their order, has come.
create table consumers (
  name text primary key,
  seq bigint not null
);
insert into consumers select 'notifications', seq from sequencer;

-- What people are told of in the app. Written only by the one consumer of events; without foreign keys, since its locks must not
-- meet those of whoever deletes an account.
create table notifications (
  id uuid primary key,
  user_id uuid not null, -- who is told
  kind text not null check (kind in ('follower', 'request', 'accepted', 'like', 'reply', 'tag')),
  page_id uuid not null, -- the page followed or asked for, liked or writing
  post_id uuid, -- the post liked, or the reply, or the post with the tag
  -- What makes it one and the same: of a like the post alone, so that likes are grouped.
  about uuid not null,
  who uuid not null,
  actors uuid[] not null, -- a few, latest first
  at timestamptz not null,
  -- Of the event that told it last: the order of the list, and what is read or unread.
  position bigint not null
);
create unique index notifications_once on notifications (user_id, kind, about, who);
create index notifications_listed on notifications (user_id, position desc);
create index notifications_age on notifications (at);

-- What a person wants to be told, and how far they have read.
create table notification_settings (
  user_id uuid primary key references users (id) on delete cascade,
  letters text not null default 'at_once' check (letters in ('at_once', 'daily', 'never')),
  muted text[] not null default '{}', -- kinds
  read_position bigint not null default 0
);

-- The likers of a signal, latest first: a few, for whoever is told of them.
alter table like_signals add column likers uuid[] not null default '{}';

-- The ledger of letters: one row for what a letter is about and whom it goes to, before its hand-over, so that no crash makes two.
create table deliveries (
  event_id uuid not null, -- the post; of a digest its job
  user_id uuid not null,
  -- `due`: on its way; `digest`: for the next digest; `sending`: being handed over, at a crash perhaps taken; `unknown`: left so.
  state text not null check (state in ('due', 'digest', 'sending', 'sent', 'skipped', 'failed', 'unknown')),
  digest_id uuid, -- the job of the digest that tells of it
  at timestamptz not null default now(),
  primary key (event_id, user_id)
);
create index deliveries_digest on deliveries (digest_id, event_id) where digest_id is not null;
create index deliveries_user on deliveries (user_id);
create index deliveries_age on deliveries (at);

-- Addresses that a mail server said do not exist.
create table bounces (
  email text primary key, -- folded to lower case
  reason text not null,
  at timestamptz not null default now()
);

-- What an account was signed in from.
create table devices (
  user_id uuid not null references users (id) on delete cascade,
  mark text not null, -- a keyed hash
  seen_at timestamptz not null,
  primary key (user_id, mark)
);

-- The notifications a person may see now: of what still is, by people and on pages they may see, and nothing of their own doing.
create function visible_notifications(viewer uuid) returns setof notifications
  language sql stable parallel safe as $$
  select n.* from notifications n
  where n.user_id = viewer
    and exists (select from visible_pages(viewer) v where v.id = n.page_id
      and (n.kind not in ('follower', 'request', 'like') or v.owner_id = viewer))
    and (n.kind = 'like' or exists (
      select from users u where u.id = n.actors[1] and (u.blocked_until is null or u.blocked_until <= now())))
    and case n.kind
      when 'follower' then exists (
        select from follows f where f.page_id = n.about and f.user_id = n.who and f.state = 'following')
      when 'request' then exists (
        select from follows f where f.page_id = n.about and f.user_id = n.who and f.state = 'requested')
      when 'accepted' then exists (
        select from follows f where f.page_id = n.about and f.user_id = viewer and f.state = 'following')
      when 'like' then exists (
        select from likes l join users u on u.id = l.user_id
        where l.post_id = n.post_id and l.user_id <> viewer and (u.blocked_until is null or u.blocked_until <= now()))
      when 'reply' then exists (
        select from posts p join posts o on o.id = p.reply_to join pages g on g.id = o.page_id
        where p.id = n.post_id and p.state = 'ready' and g.owner_id = viewer)
      else exists (
        select from posts p where p.id = n.post_id and p.state = 'ready' and viewer = any (p.tagged))
    end
$$;
