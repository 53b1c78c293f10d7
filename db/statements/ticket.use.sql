insert into used_tickets (id, expires_at) values ($1, $2) on conflict do nothing returning id
