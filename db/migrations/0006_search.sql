-- Search.
create extension if not exists pg_trgm;

-- Folding: whatever a person may have typed for it becomes the same. Lower case without accents (so ё is е, while й, which makes other words,
-- stays), by hand for Cyrillic, as a database with the locale C knows no other letters.
create function search_lower(value text) returns text language sql immutable parallel safe as $$
  select regexp_replace(replace(
    lower(translate(normalize(value, NFKD), 'АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯІЄҐ', 'абвгдежзиклмнопрстуфхцчшщъыьэюяієґ')),
    U&'\0438\0306', 'й'), '[\u0300-\u036f\ufe0f''’ʼ`]+', '', 'g')
$$;

-- Cyrillic becomes Latin; what is spelled this way and that way in Latin (y, j, i; w, v; x, ks) becomes one, letter by letter, so that
-- the beginning of a word folds to the beginning of the folded word. All that is no letter or digit becomes one space.
create function search_fold(value text) returns text language sql immutable parallel safe as $$
  select trim(regexp_replace(regexp_replace(
    translate(
      replace(replace(replace(replace(replace(replace(replace(replace(replace(search_lower(value),
        'щ', 'shch'), 'ш', 'sh'), 'ч', 'ch'), 'ж', 'zh'), 'ц', 'ts'), 'х', 'kh'), 'ю', 'iu'), 'я', 'ia'), 'x', 'ks'),
      'абвгдезийклмнопрстуфыэієґyjwøłđıßъь', 'abvgdeziiklmnoprstufieiegiivoldis'),
    'ii+', 'i', 'g'),
    '[^a-z0-9\u00c0-\u1fff\u2600-\u27bf\u2c00-\u2dff\u3040-\U0010ffff]+', ' ', 'g'))
$$;

-- Without spaces, so that "Red fox", "red-fox" and "redfox" begin alike; what has neither letter nor digit stays as it is. Bounded, as an index
-- takes no more.
create function search_key(value text) returns text language sql immutable parallel safe as $$
  select left(coalesce(nullif(replace(search_fold(value), ' ', ''), ''), lower(value)), 100)
$$;

-- Words as they are spelled, folded, and by their Russian or English stem.
create function search_words_of(value text, weight "char") returns tsvector language sql immutable parallel safe as $$
  select setweight(to_tsvector('simple', search_fold(value)) || to_tsvector('russian', search_lower(value)), weight)
$$;

-- What pages and people are found by, in tables of their own: counts, posts and likes never touch these.
create table page_search (
  page_id uuid primary key references pages (id) on delete cascade,
  handle text not null, -- in lower case
  handle_key text collate "C" not null,
  name_key text collate "C" not null,
  words tsvector not null -- A: handle and name, B: tags, D: description
);
create index page_search_handle on page_search (handle_key);
create index page_search_name on page_search (name_key);
-- Without a list of what is still to be sorted in: searches would read it, and one unlucky commit would pay for all.
create index page_search_words on page_search using gin (words) with (fastupdate = off);

create table user_search (
  user_id uuid primary key references users (id) on delete cascade,
  handle text not null,
  handle_key text collate "C" not null,
  name_key text collate "C" not null,
  surname_key text collate "C" not null, -- the name, last name first
  words tsvector not null
);
create index user_search_handle on user_search (handle_key);
create index user_search_name on user_search (name_key);
create index user_search_surname on user_search (surname_key);
create index user_search_words on user_search using gin (words) with (fastupdate = off);

-- Every word of a handle, name or tag, once: what a misspelled word is compared with.
create table spellings (word text collate "C" primary key);
create index spellings_near on spellings using gin (word gin_trgm_ops) with (fastupdate = off);

-- Who is followed most: the tie-break, and where to begin when so much matches that not all of it can be looked at.
create table popular_pages (
  page_id uuid primary key references pages (id) on delete cascade,
  user_id uuid unique, -- whose personal page it is
  followers int not null
);
create index popular_pages_first on popular_pages (followers desc, page_id);
create index popular_users_first on popular_pages (followers desc, user_id) where user_id is not null;

-- In plpgsql, as that keeps its plan from one call to the next.
create function page_document(page pages) returns page_search language plpgsql stable as $$
begin
  return (page.id, lower(page.uuid), search_key(page.uuid), search_key(page.name),
    search_words_of(page.uuid || ' ' || page.name, 'A') || search_words_of(array_to_string(page.tags, ' '), 'B')
      || search_words_of(page.description, 'D'))::page_search;
end $$;

create function user_document(person users) returns user_search language plpgsql stable as $$
begin
  return (person.id, lower(person.login), search_key(person.login), search_key(person.first_name || person.last_name),
    search_key(person.last_name || person.first_name),
    search_words_of(person.login || ' ' || person.first_name || ' ' || person.last_name, 'A'))::user_search;
end $$;

-- New words are written by one transaction at a time: two that share some in another order would wait for each other for ever.
create function learn_spellings(value text) returns void language plpgsql as $$
declare
  fresh text[] := array(
    select distinct w.word from unnest(string_to_array(search_fold(value), ' ')) w (word)
    where length(w.word) between 3 and 40 and not exists (select from spellings s where s.word = w.word));
begin
  if fresh <> '{}' then
    perform pg_advisory_xact_lock(7274932); -- any number that nothing else locks
    insert into spellings select unnest(fresh) on conflict do nothing;
  end if;
end $$;

create function describe_page() returns trigger language plpgsql as $$
begin
  insert into page_search select d.* from page_document(new) d
  on conflict (page_id) do update
    set handle = excluded.handle, handle_key = excluded.handle_key, name_key = excluded.name_key, words = excluded.words;
  perform learn_spellings(new.uuid || ' ' || new.name || ' ' || array_to_string(new.tags, ' '));
  return null;
end $$;
create trigger pages_described after insert on pages for each row execute function describe_page();
create trigger pages_described_anew after update of uuid, name, description, tags on pages for each row
  when ((old.uuid, old.name, old.description, old.tags) is distinct from (new.uuid, new.name, new.description, new.tags))
  execute function describe_page();

create function describe_user() returns trigger language plpgsql as $$
begin
  insert into user_search select d.* from user_document(new) d
  on conflict (user_id) do update set handle = excluded.handle, handle_key = excluded.handle_key, name_key = excluded.name_key,
    surname_key = excluded.surname_key, words = excluded.words;
  perform learn_spellings(new.login || ' ' || new.first_name || ' ' || new.last_name);
  return null;
end $$;
create trigger users_described after insert on users for each row execute function describe_user();
create trigger users_described_anew after update of login, first_name, last_name on users for each row
  when ((old.login, old.first_name, old.last_name) is distinct from (new.login, new.first_name, new.last_name))
  execute function describe_user();

create function count_popular_page() returns trigger language plpgsql as $$
begin
  insert into popular_pages values (new.id, case when new.is_personal then new.owner_id end, new.follower_count)
  on conflict (page_id) do update set followers = excluded.followers;
  return null;
end $$;
create trigger pages_followed after update of follower_count on pages for each row
  when (old.follower_count <> new.follower_count and new.deleted_at is null) execute function count_popular_page();

-- A tombstone is found by nobody, and must not stand in the way of what is.
create function forget_page() returns trigger language plpgsql as $$
begin
  delete from page_search where page_id = new.id;
  delete from popular_pages where page_id = new.id;
  return null;
end $$;
create trigger pages_buried after update of deleted_at on pages for each row
  when (old.deleted_at is null and new.deleted_at is not null) execute function forget_page();

insert into page_search select d.* from pages p cross join lateral page_document(p) d where p.deleted_at is null;
insert into user_search select d.* from users u cross join lateral user_document(u) d;
insert into popular_pages
select id, case when is_personal then owner_id end, follower_count from pages where follower_count > 0 and deleted_at is null;
insert into spellings
select distinct w.word from (
  select unnest(string_to_array(search_fold(uuid || ' ' || name || ' ' || array_to_string(tags, ' ')), ' ')) from pages
  union all
  select unnest(string_to_array(search_fold(login || ' ' || first_name || ' ' || last_name), ' ')) from users) w (word)
where length(w.word) between 3 and 40;

-- Visibility, whose first half search shares: pages that exist and that no block hides from the viewer. A private one among them is
-- found by anybody, and shown without its posts.
create function unblocked_pages(viewer uuid) returns setof pages
  language sql stable parallel safe as $$
  select p.* from pages p
  where p.deleted_at is null and (
    ((p.blocked_until is null or p.blocked_until <= now())
      and (p.owner_blocked_until is null or p.owner_blocked_until <= now()))
    or exists (select from users u where u.id = viewer and u.role <> 'user'))
$$;

create or replace function visible_pages(viewer uuid) returns setof pages
  language sql stable parallel safe as $$
  select p.* from unblocked_pages(viewer) p
  where not p.is_private
    or p.owner_id = viewer
    or exists (select from follows f where f.page_id = p.id and f.user_id = viewer and f.state = 'following')
    or exists (select from users u where u.id = viewer and u.role <> 'user')
$$;

-- What search finds. Where an e-mail must be verified, people are in no search until theirs is, nor are their pages.
create function findable_pages(viewer uuid, verified_only boolean) returns setof pages
  language sql stable parallel safe as $$
  select p.* from unblocked_pages(viewer) p join users o on o.id = p.owner_id
  where not verified_only or o.email_verified_at is not null
$$;

create function findable_users(viewer uuid, verified_only boolean) returns setof users
  language sql stable parallel safe as $$
  select u.* from users u
  where (not verified_only or u.email_verified_at is not null)
    and (u.blocked_until is null or u.blocked_until <= now()
      or exists (select from users v where v.id = viewer and v.role <> 'user'))
$$;
