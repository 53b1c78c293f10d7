select k as key from unnest($1::text[]) k
where exists (select from photos f where f.key = split_part(k, '.', 1) and f.state = 'ready')
  or exists (select from photos f where f.staged_key = k and f.state <> 'ready')
