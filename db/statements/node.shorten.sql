update nodes
set lease_until = clock_timestamp() + $1::float8 * interval '1 millisecond'
where lease_until > clock_timestamp() + 2 * $1::float8 * interval '1 millisecond'
