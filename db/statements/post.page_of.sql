select page_id from posts where id = $1
