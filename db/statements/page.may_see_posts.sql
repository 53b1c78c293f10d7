select 1 from visible_pages($1) where id = $2
