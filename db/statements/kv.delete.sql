select key from kv_delete($1, $2)
