select 1 from bounces where email = lower($1) and until > now()
