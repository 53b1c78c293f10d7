select from sessions where user_id = $1 and ended_at is null
