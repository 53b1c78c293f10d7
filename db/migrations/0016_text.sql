-- A page that was renamed keeps its old handle for itself for a while, and links to it lead to the page. The handle stays in `handles`, so
-- that nobody else takes it as handle or login; where that row goes, this one goes.
create table old_handles (
  handle text primary key references handles (handle) on delete cascade, -- folded to lower case
  page_id uuid not null references pages (id) on delete cascade,
  expires_at timestamptz not null
);
create index old_handles_page on old_handles (page_id);
create index old_handles_expiry on old_handles (expires_at);
