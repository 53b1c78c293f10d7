delete from jobs where id = $1 and kind = $2 and attempts = $3 and state = 'running'
