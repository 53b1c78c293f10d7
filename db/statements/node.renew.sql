insert into nodes (id, lease_until, told)
values ($1, clock_timestamp() + $2 * interval '1 millisecond', $3)
on conflict (id) do update
set lease_until = excluded.lease_until, told = excluded.told
returning (select last_value from acknowledgements) as mark
