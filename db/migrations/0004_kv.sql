-- The key–value store. A space is one account's pairs, or those that all share. Its row is what every write takes first and counts up:
-- so writes of a space come one after another, a value's version never comes again, and an unchanged revision means unchanged pairs.
create table kv_spaces (
  id uuid primary key, -- the account's, or nil
  owner_id uuid references users (id) on delete cascade, -- null: all share it
  revision bigint not null default 1
) with (fillfactor = 50);
-- Not unique: of two first writes at once, the one that waits must find the other by its id alone.
create index kv_spaces_owner on kv_spaces (owner_id);
insert into kv_spaces (id) values ('00000000-0000-0000-0000-000000000000');

create table kv (
  space uuid not null,
  key text collate "C" not null, -- in the order of its bytes, which is also that of a listing
  -- JSON as it was written. As text, since `jsonb` keeps neither every number nor every string, and `json` would only parse it again.
  value text not null,
  version bigint not null, -- the revision of the space that the write made
  expires_at timestamptz,
  primary key (space, key)
);
create index kv_expiry on kv (expires_at) where expires_at is not null;

-- A foreign key would be checked for every pair, and its space is locked already. With the space its pairs go: a trigger sees what was
-- committed while the space was waited for.
create function forget_pairs() returns trigger language plpgsql as $$
begin
  delete from kv k using gone g where k.space = g.id;
  return null;
end $$;
create trigger kv_spaces_gone after delete on kv_spaces referencing old table as gone
  for each statement execute function forget_pairs();

-- Deletes the keys of a space that are there, and tells them. A function, since its second statement sees what the writes it waited for
-- have written: a single one would delete what they changed and leave what they added.
create function kv_delete(of_space uuid, keys text[]) returns table (key text) language plpgsql as $$
begin
  update kv_spaces s set revision = s.revision + 1 where s.id = of_space;
  return query delete from kv k
    where k.space = of_space and k.key = any(keys) and (k.expires_at is null or k.expires_at > now()) returning k.key;
end $$;
