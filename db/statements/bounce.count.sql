select count(*)::int as n from bounces where until > now()
