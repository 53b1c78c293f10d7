delete from unowned_files where key = any($1::text[]) and taken
