-- The tickets of live sockets that were used, until they are too old anyway: each opens one socket, whichever node it comes to.
create table used_tickets (
  id text primary key, -- a hash
  expires_at timestamptz not null
);
create index used_tickets_age on used_tickets (expires_at);
