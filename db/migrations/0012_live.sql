-- Of what a listener missed only the latest value is sent: of a post's number of replies, and of a page.
create index events_post_replies on events (post_id, seq) where kind = 'replies.changed';
create index events_page_updates on events (page_id, seq) where kind = 'page.updated';

-- Whose notifications an event may take away or bring back: by what they are about, by their page, and by who did it.
create index notifications_about on notifications (about, who);
create index notifications_page on notifications (page_id, user_id);
create index notifications_who on notifications (who) where kind in ('follower', 'request');

-- Whether the page of a reply is private or blocked, so that some may not see it: with it the replies that a viewer sees are counted by
-- looking at those alone. The page's row is locked as it is looked at, so that nobody closes the page unnoticed meanwhile.
alter table posts add column withheld boolean not null default false;
create function is_closed(p pages) returns boolean language sql immutable as $$
  select p.is_private or p.blocked_until is not null or p.owner_blocked_until is not null
$$;
update posts r set withheld = true from pages p where p.id = r.page_id and r.reply_to is not null and is_closed(p);
create index posts_withheld on posts (reply_to) where withheld;
create index posts_replying on posts (page_id) where reply_to is not null;

create function withhold_reply() returns trigger language plpgsql as $$
begin
  select is_closed(p) into new.withheld from pages p where p.id = new.page_id for no key update;
  new.withheld := coalesce(new.withheld, false);
  return new;
end $$;
create trigger posts_withheld before insert on posts for each row when (new.reply_to is not null) execute function withhold_reply();

create function withhold_replies() returns trigger language plpgsql as $$
begin
  update posts set withheld = is_closed(new) where page_id = new.id and reply_to is not null and withheld <> is_closed(new);
  return new;
end $$;
create trigger pages_withheld before update of is_private, blocked_until, owner_blocked_until on pages for each row
  when (is_closed(old) <> is_closed(new)) execute function withhold_replies();

-- What a blocked account likes, looked at from the few that are blocked.
create index users_blocked on users (id) where blocked_until is not null;

-- When the last post was published: each is later than the one before, by a microsecond at least, so that the order of the feed is that of
-- the events. Posts of before keep their times, which know milliseconds.
alter table sequencer add column published_at timestamptz not null default '-infinity';
update sequencer set published_at = coalesce((select max(published_at) from posts), '-infinity');
