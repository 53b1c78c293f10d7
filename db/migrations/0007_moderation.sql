-- The record of moderation: what was done to whom, by whom, when and why. It only grows, and each entry carries the hash of the one
-- before, so that no change of a row goes unnoticed (docs/decisions/0011-moderation-record.md).
create table moderation_log (
  seq bigint primary key, -- without a gap
  at timestamptz not null,
  act text not null,
  -- As they were then: accounts go and are renamed. No account where the system acted by itself.
  actor_id uuid,
  actor_login text,
  actor_role text not null check (actor_role in ('user', 'moderator', 'admin', 'system')),
  target_kind text not null check (target_kind in ('account', 'page', 'post', 'report')),
  target_id uuid not null,
  target_name text not null,
  reason text,
  before jsonb,
  after jsonb,
  previous text not null,
  hash text not null
);
create index moderation_log_actor on moderation_log (actor_id, seq desc);
create index moderation_log_act on moderation_log (act, seq desc);
create index moderation_log_target on moderation_log (target_id, seq desc);
create index moderation_log_at on moderation_log (at);

-- The chain's end. Its row is the lock that orders entries: the last but one of any statement, before the sequencer's.
create table moderation_chain (
  one boolean primary key default true check (one),
  seq bigint not null default 0,
  hash text not null default repeat('0', 64)
);
insert into moderation_chain default values;

-- The SHA-256 of an entry in its one canonical spelling; JSON as text, so that the two kinds of null differ.
create function moderation_hash(e moderation_log) returns text language sql stable as $$
  select encode(sha256(convert_to(jsonb_build_array(e.previous, e.seq,
    to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), e.act, e.actor_id, e.actor_login, e.actor_role, e.target_kind,
    e.target_id, e.target_name, e.reason, e.before::text, e.after::text)::text, 'UTF8')), 'hex')
$$;

-- Whoever adds an entry, it goes to the chain's end.
create function chain_moderation() returns trigger language plpgsql as $$
begin
  select c.seq + 1, c.hash into strict new.seq, new.previous from moderation_chain c for update;
  new.hash := moderation_hash(new);
  update moderation_chain set seq = new.seq, hash = new.hash;
  return new;
end $$;
create trigger moderation_log_chained before insert on moderation_log for each row execute function chain_moderation();

create function keep_moderation() returns trigger language plpgsql as $$
begin
  raise exception 'The record of moderation only grows';
end $$;
create trigger moderation_log_kept before update or delete or truncate on moderation_log
  for each statement execute function keep_moderation();

-- A block as the record tells it; null for none.
create function block_as_json(until timestamptz, reason text) returns jsonb language sql stable as $$
  select case when until is not null then jsonb_build_object('reason', reason, 'until',
    case when until < 'infinity' then to_char(until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end) end
$$;

-- What people think staff should look at. Without foreign keys: staff look at it whatever has gone meanwhile, and its locks must not
-- meet those of whoever deletes an account.
create table reports (
  id uuid primary key,
  reporter_id uuid not null,
  target_kind text not null check (target_kind in ('account', 'page', 'post')),
  target_id uuid not null,
  target_name text not null, -- as it was then
  owner_id uuid not null, -- whose it is
  reason text not null,
  state text not null default 'open' check (state in ('open', 'taken', 'closed')),
  handler_id uuid, -- who took or closed it
  outcome text check (outcome in ('acted', 'dismissed')),
  note text,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  check ((state = 'open') = (handler_id is null) and (state = 'closed') = (outcome is not null))
);
-- One report of a thing by a person at a time.
create unique index reports_once on reports (reporter_id, target_kind, target_id) where state <> 'closed';
create index reports_listed on reports (state, created_at, id);
create index reports_closed on reports (changed_at desc, id desc) where state = 'closed';
