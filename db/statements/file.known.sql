select k as key from unnest($1::text[]) k
where exists (select from photos f where f.key = split_part(k, '.', 1))
  or exists (select from photos f where f.staged_key = k)
  or exists (select from unowned_files u where u.key = k)
  or exists (
    select from jobs j where j.kind in ('photo.crop', 'photo.settle') and j.payload ->> 'key' = split_part(k, '.', 1)
  )
