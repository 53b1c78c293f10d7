select id, body_mac, state, status, location, body from receipts where scope = $1 and key = $2
