update consumers set held_until = null where name = 'page_days' returning seq
