-- By how much each page's numbers changed on each day (UTC): the sum over all days is the count now.
create table stats.days (
  page_id uuid not null,
  day date not null,
  posts int not null,
  followers int not null,
  requests int not null,
  likes int not null,
  replies int not null,
  primary key (page_id, day)
);

-- The last event that is in them, and of which history; without it they are to be built anew.
create table stats.position (
  one boolean primary key default true check (one),
  epoch uuid not null,
  seq bigint not null
);

-- What comes in their place once all of it is there.
create table stats.building (
  build uuid not null,
  begun_at timestamptz not null default now(),
  page_id uuid not null,
  day date not null,
  posts int not null,
  followers int not null,
  requests int not null,
  likes int not null,
  replies int not null,
  primary key (build, page_id, day)
);
