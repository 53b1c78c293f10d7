insert into letters (id, user_id, message_id, sender, recipient, subject, text, html)
select $1, o.user_id, $2, $3, $4, $5, $6, $7
from (
  select coalesce(
    (
      select u.id
      from deliveries d
      join users u on u.id = d.user_id
      where d.event_id = $8::uuid and d.user_id = $9::uuid and d.state = 'sending'
    ),
    (select u.id from users u where lower(u.email) = $4 and u.email_verified_at is not null)
  ) as user_id
) o
where o.user_id is not null
on conflict (message_id, recipient) do nothing
