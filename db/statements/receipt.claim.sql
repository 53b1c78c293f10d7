insert into receipts (id, scope, key, body_mac, lease_until)
values ($1, $2, $3, $4, now() + make_interval(secs => $5))
on conflict (scope, key) do nothing
returning id
