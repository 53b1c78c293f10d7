delete from used_tickets where expires_at < now() - interval '10 minutes'
