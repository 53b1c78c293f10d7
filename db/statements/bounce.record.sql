insert into bounces as b (email, reason, code, until)
values (lower($1), $2, $3, now() + $4 * interval '1 millisecond')
on conflict (email) do update
set reason = excluded.reason, code = excluded.code, at = now(), refusals = b.refusals + 1,
  until = now() + least($5, $4 * 2 ^ least(b.refusals, 20)) * interval '1 millisecond'
returning until
