select id from nodes where id <> $1 and told < $2 and lease_until > clock_timestamp() - $3 * interval '1 millisecond'
