-- What the installation is.
create table installation (
  one boolean primary key default true check (one),
  partition_count int not null
);
insert into installation (partition_count) values (64);

-- The epoch licenses writes: every commit names the epoch it was given and changes nothing under another one.
create table partitions (
  id int primary key,
  epoch bigint not null default 0
);
insert into partitions (id) select generate_series(0, 63);

create table users (
  id uuid primary key,
  login text not null,
  password_hash text not null,
  password_version int not null default 1,
  first_name text not null,
  last_name text not null,
  email text not null,
  email_verified_at timestamptz,
  pending_email text,
  role text not null default 'user' check (role in ('user', 'moderator', 'admin')),
  -- The only code in force, of each purpose; the code itself is derived from the nonce and never stored.
  verify_nonce text,
  verify_expires_at timestamptz,
  verify_attempts int not null default 0,
  recover_nonce text,
  recover_expires_at timestamptz,
  recover_attempts int not null default 0,
  blocked_at timestamptz,
  blocked_until timestamptz, -- 'infinity' is for good
  blocked_reason text,
  page_id uuid not null, -- the personal page
  created_at timestamptz not null
);
create unique index users_login on users (lower(login));
create unique index users_email on users (lower(email));
create index users_pending_email on users (lower(pending_email)) where pending_email is not null;
create index users_listed on users (created_at desc, id desc);

create table sessions (
  id uuid primary key,
  user_id uuid not null references users (id) on delete cascade,
  generation int not null default 0,
  issued_at timestamptz not null, -- of the current pair
  kid text not null,
  started_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  end_reason text check (end_reason in ('token-outdated', 'session-ended', 'token-reused'))
);
-- One live session an account (S1-4).
create unique index sessions_live on sessions (user_id) where ended_at is null;
create index sessions_expiry on sessions (expires_at);

create table signing_keys (
  kid text primary key,
  public_jwk jsonb not null,
  sealed_private bytea not null,
  created_at timestamptz not null default now(),
  retired_at timestamptz
);

-- Logins and page handles share one name space.
create table handles (
  handle text primary key, -- folded to lower case
  user_id uuid not null
);

create table pages (
  id uuid primary key,
  owner_id uuid references users (id) on delete set null,
  is_personal boolean not null default false,
  uuid text not null,
  name text not null,
  description text not null default '',
  tags text[] not null default '{}',
  is_private boolean not null default false,
  follower_count int not null default 0,
  request_count int not null default 0,
  post_count int not null default 0,
  blocked_at timestamptz,
  blocked_until timestamptz,
  blocked_reason text,
  owner_blocked_until timestamptz, -- while the owner's account is blocked
  created_at timestamptz not null,
  -- A deleted page stays as a tombstone, with its followers, until the events that tell them are past keeping.
  deleted_at timestamptz
);
create index pages_owner on pages (owner_id, created_at desc, id desc);
create unique index pages_personal on pages (owner_id) where is_personal;
create unique index pages_uuid on pages (lower(uuid)) where deleted_at is null;
create index pages_deleted on pages (deleted_at) where deleted_at is not null;

create table follows (
  page_id uuid not null references pages (id) on delete cascade,
  user_id uuid not null references users (id) on delete cascade,
  state text not null check (state in ('following', 'requested')),
  created_at timestamptz not null,
  primary key (page_id, user_id)
);
create index follows_user on follows (user_id, state, created_at desc, page_id desc);
create index follows_page on follows (page_id, state, created_at desc, user_id desc);

create table posts (
  id uuid primary key,
  page_id uuid not null references pages (id),
  text text not null default '',
  tagged uuid[] not null default '{}',
  place text,
  reply_to uuid, -- the original may be gone
  state text not null default 'ready' check (state in ('ready', 'processing', 'failed')),
  like_count int not null default 0,
  reply_count int not null default 0,
  published_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null
) with (fillfactor = 90);
create index posts_page on posts (page_id, published_at desc, id desc) where state = 'ready';
create index posts_replies on posts (reply_to, published_at desc, id desc) where reply_to is not null;

create table likes (
  post_id uuid not null references posts (id) on delete cascade,
  user_id uuid not null references users (id) on delete cascade,
  created_at timestamptz not null,
  primary key (post_id, user_id)
);
create index likes_user on likes (user_id, created_at desc, post_id desc);

-- History and outbox in one. `seq` is the one order of everything that happened, without a gap: each commit takes its numbers from
-- the sequencer's row, last of all its locks, and holds that row until it is durable.
create table events (
  seq bigint primary key,
  kind text not null,
  page_id uuid,
  post_id uuid,
  user_id uuid,
  data jsonb,
  at timestamptz not null
);
create index events_page on events (page_id, seq);
create index events_user on events (user_id, seq) where user_id is not null;
create index events_post_likes on events (post_id, seq) where kind = 'post.likes';

create table sequencer (
  one boolean primary key default true check (one),
  -- Which history this is; replaced after a restore, which makes every older cursor foreign.
  epoch uuid not null default gen_random_uuid(),
  seq bigint not null default 0,
  -- Events up to here are past keeping.
  floor bigint not null default 0
) with (fillfactor = 10);
insert into sequencer default values;

-- Posts whose likes changed since that was last told.
create table like_signals (
  post_id uuid primary key,
  page_id uuid not null,
  changes bigint not null default 1
);

create table jobs (
  id uuid primary key,
  kind text not null,
  payload jsonb not null,
  state text not null default 'waiting' check (state in ('waiting', 'running', 'unknown', 'dead')),
  attempts int not null default 0,
  run_at timestamptz not null,
  lease_until timestamptz,
  last_error text,
  -- Whom it belongs to, so that it goes with the account.
  user_id uuid,
  created_at timestamptz not null default now()
);
create index jobs_due on jobs (run_at) where state = 'waiting';
create index jobs_leased on jobs (lease_until) where state = 'running';
create index jobs_user on jobs (user_id) where user_id is not null;

create table receipts (
  id uuid primary key,
  scope text not null, -- account id, or a keyed hash of the address
  key text not null,
  body_mac text not null,
  state text not null default 'running' check (state in ('running', 'done')),
  lease_until timestamptz not null,
  result jsonb,   -- what the commit answered, written with its effect
  status int,
  location text,
  body text,      -- what the caller was answered
  created_at timestamptz not null default now()
);
create unique index receipts_key on receipts (scope, key);
create index receipts_age on receipts (created_at);

create table letters (
  id uuid primary key,
  message_id text not null,
  sender text not null,
  recipient text not null, -- folded to lower case
  subject text not null,
  text text not null,
  html text,
  at timestamptz not null default now()
);
create unique index letters_once on letters (message_id, recipient);
create index letters_recipient on letters (recipient, at desc, id desc);

-- Visibility.
-- The one place that says who may see the posts of which page: staff those of every page that exists; others of none that is
-- blocked, and of a private one as its owner or follower. Returns a set, because the planner inlines that into the query
-- that asks; a scalar function with a sub-select is called row by row.
create function visible_pages(viewer uuid) returns setof pages
  language sql stable parallel safe as $$
  select p.* from pages p
  where p.deleted_at is null and (
    -- The usual case first: an open page needs no further look.
    ((p.blocked_until is null or p.blocked_until <= now())
      and (p.owner_blocked_until is null or p.owner_blocked_until <= now())
      and (not p.is_private
        or p.owner_id = viewer
        or exists (select from follows f where f.page_id = p.id and f.user_id = viewer and f.state = 'following')))
    or exists (select from users u where u.id = viewer and u.role <> 'user'))
$$;
