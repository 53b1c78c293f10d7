-- A bounce says why, lapses, and counts how often the address was refused in a row.
alter table bounces add column code text not null default '5.1.1';
alter table bounces add column refusals int not null default 1;
alter table bounces add column until timestamptz not null default now() + interval '7 days';
create index bounces_at on bounces (at);
