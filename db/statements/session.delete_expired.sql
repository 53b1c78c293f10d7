delete from sessions where expires_at < now() - interval '1 day'
