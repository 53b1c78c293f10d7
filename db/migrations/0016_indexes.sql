-- Deleting a page or an account, and the checks of foreign keys that follow, find their rows by index. The indexes there were are partial, so
-- that each deletion read all posts, sessions and handles.
create index posts_of_page on posts (page_id);
create index sessions_user on sessions (user_id);
create index handles_user on handles (user_id);

-- A few rows that are looked for among many.
create index users_admins on users (id) where role = 'admin';
create index photos_failed on photos (created_at) where state = 'failed';
create index bounces_until on bounces (until);
