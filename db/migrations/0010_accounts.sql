-- A mailbox belongs to an account, not to an address: who comes to have an address reads nothing that was sent to the one before.
alter table letters add column user_id uuid references users (id) on delete cascade;
update letters l set user_id = u.id from users u
where substring(l.message_id from '^<[0-9a-f-]{36}\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})@') = u.id::text;
-- Of the others nobody can say whose they were meant to be.
delete from letters where user_id is null;
drop index letters_recipient;
create index letters_mailbox on letters (user_id, recipient, at desc, id desc);

-- Of the accounts that wait for one address, the mark finds the one whose password was given: argon2id of the password under a salt that
-- follows from the address (security/mailbox.ts). Missing where the password was not at hand.
alter table users add column mailbox_mark text;
drop index users_pending_email;
create index users_pending_email on users (lower(pending_email), mailbox_mark) where pending_email is not null;

-- When e-mails were asked for in the last hour, so that an account gets few, no matter who asks.
alter table users add column verify_asked_at timestamptz[] not null default '{}';
alter table users add column recover_asked_at timestamptz[] not null default '{}';
alter table users add column change_asked_at timestamptz[] not null default '{}';
-- Guesses at a recovery code are counted by who guesses: strangers must not void the owner's code.
alter table users drop column recover_attempts;
