insert into jobs (id, kind, payload, run_at)
select f.id, 'photo.crop', jsonb_build_object('staged', f.staged_key, 'key', f.key), now()
from photos f
where f.state = 'processing'
  and f.staged_key is not null
  and f.created_at < now() - interval '5 minutes'
  and not exists (select from jobs j where j.id = f.id)
on conflict do nothing
