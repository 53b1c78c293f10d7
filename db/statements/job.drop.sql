delete from jobs where id = $1 and state in ('dead', 'unknown') returning id
