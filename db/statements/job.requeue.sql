update jobs set run_at = now() where id = any($1::uuid[]) and kind = $2 and state = 'waiting' and run_at > now()
