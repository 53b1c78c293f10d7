update consumers set held_until = now() + interval '10 minutes' where name = 'page_days' returning seq
