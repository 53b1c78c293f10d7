delete from pages where deleted_at < now() - $1 * interval '1 millisecond'
