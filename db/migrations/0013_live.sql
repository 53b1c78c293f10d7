-- What a listener missed is told by its latest value alone: of a post's number of replies, and of a page.
create index events_post_replies on events (post_id, seq) where kind = 'replies.changed';
create index events_page_updates on events (page_id, seq) where kind = 'page.updated';

-- Whose notifications an event may take away or bring back: by what they are about, by their page, and by who did it.
create index notifications_about on notifications (about, who);
create index notifications_page on notifications (page_id, user_id);
create index notifications_who on notifications (who) where kind in ('follower', 'request');
