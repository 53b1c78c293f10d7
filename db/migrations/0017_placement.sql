-- Each node's row is its lease, by the clock of this database. Nodes of an older version have no actors to give.
alter table nodes
  add column url text, -- where other nodes reach its HTTP server
  add column actors boolean not null default false, -- whether it takes partitions
  add column started_at timestamptz not null default now();
-- The node that has the partition's actors. It is free if null, or if that node has no lease in force.
alter table partitions add column node uuid;
