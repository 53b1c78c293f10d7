-- The nodes with live sockets, each for as long as its lease. Kept over a crash of the server: a node that is not here is not waited for.
create table nodes (
  id uuid primary key,
  lease_until timestamptz not null,
  told bigint not null -- the last number of `acknowledgements` whose commits its sockets know
);
-- Whoever acknowledges something to be known everywhere takes the next number after its commit; a node that reads a number sees all that
-- was committed before it was taken. The first one is given away, so that 0 stands before all.
create sequence acknowledgements;
select nextval('acknowledgements');
