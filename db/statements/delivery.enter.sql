insert into deliveries (event_id, user_id, state) values ($1, $2, 'due') on conflict do nothing
