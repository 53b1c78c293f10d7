delete from receipts where id = $1 and state = 'running' and result is null
