update unowned_files set due_at = now() where key = any($1::text[]) and not taken
