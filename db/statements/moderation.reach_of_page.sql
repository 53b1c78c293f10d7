select 1 as pages, post_count as posts, follower_count as followers from pages where id = $1
