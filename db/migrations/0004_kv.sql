-- The key–value store. A version is the number of the write that made the value, so it never comes again: not even when a key is
-- deleted and written anew.
create sequence kv_versions;
create table kv (
  space uuid not null, -- an account's id; nil is the space that all share
  key text collate "C" not null, -- in the order of its bytes, which is also that of a listing
  -- JSON as it was written. As text, since `jsonb` keeps neither every number nor every string, and `json` would only parse it again.
  value text not null,
  version bigint not null,
  expires_at timestamptz,
  primary key (space, key)
);
create index kv_expiry on kv (expires_at) where expires_at is not null;

-- A foreign key would be checked for every pair; a write locks its account once instead, and with the account its pairs go. By a
-- trigger, which sees what was committed while the account was waited for.
create function forget_pairs() returns trigger language plpgsql as $$
begin
  delete from kv k using gone g where k.space = g.id;
  return null;
end $$;
create trigger users_gone after delete on users referencing old table as gone
  for each statement execute function forget_pairs();
