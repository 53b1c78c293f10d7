select revision, now() as at from kv_spaces where id = $1
