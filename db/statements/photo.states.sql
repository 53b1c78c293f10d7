select id, state, problem from photos where id = any($1::uuid[])
