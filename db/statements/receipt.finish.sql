update receipts set state = 'done', status = $2, location = $3, body = $4 where id = $1 and state = 'running'
