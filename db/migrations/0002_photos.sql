-- A picture on its way to a post, a person or a page, and then what they show.
create table photos (
  id uuid primary key, -- also the id of its job
  -- 128 random bits: what its files and its address are named by.
  key text not null unique,
  -- What it is for: exactly one of these.
  post_id uuid references posts (id) on delete cascade,
  user_id uuid references users (id) on delete cascade,
  page_id uuid references pages (id) on delete cascade,
  position int not null default 0,
  name text not null, -- as it was uploaded
  alt text,
  state text not null default 'processing' check (state in ('processing', 'ready', 'failed')),
  problem text, -- why it failed
  staged_key text, -- the upload's file; kept until the photo is ready
  format text,
  side int,
  variants int[] not null default '{}',
  placeholder text,
  created_at timestamptz not null,
  check (num_nonnulls(post_id, user_id, page_id) = 1)
);
create index photos_post on photos (post_id, position) where post_id is not null;
create index photos_user on photos (user_id) where user_id is not null;
create index photos_page on photos (page_id) where page_id is not null;
create index photos_staged on photos (created_at) where staged_key is not null;

-- How many photos a post has, so that one without costs no look.
alter table posts add column photo_count int not null default 0;
create index posts_unready on posts (page_id, created_at desc, id desc) where state <> 'ready';

-- The key of the picture in force.
alter table users add column avatar_key text;
alter table pages add column avatar_key text;

-- Files that nothing here owns: an upload is written down before its first byte is stored and taken off by the commit that makes
-- it a photo's; what a photo leaves behind comes back. The sweeper removes what is due.
create table unowned_files (
  key text primary key,
  due_at timestamptz not null,
  -- The sweeper is at it: too late to be owned.
  taken boolean not null default false
);
create index unowned_files_due on unowned_files (due_at);

-- However a photo goes, its files are to go.
create function disown_files() returns trigger language plpgsql as $$
begin
  insert into unowned_files (key, due_at)
  select k.key, now() from gone g
  cross join lateral unnest(array[g.key, g.key || '.1080', g.key || '.320', g.staged_key]) k (key)
  where k.key is not null
  on conflict (key) do update set due_at = excluded.due_at, taken = false;
  return null;
end $$;
create trigger photos_gone after delete on photos referencing old table as gone
  for each statement execute function disown_files();
