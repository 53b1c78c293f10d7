/** A script that rebuilds the search tables from pages and accounts, by the functions of this database's Postgres. */
export const BUILD_SEARCH = `
truncate page_search, user_search, popular_pages, spellings;
insert into page_search select d.* from pages p cross join lateral page_document(p) d where p.deleted_at is null;
insert into user_search select d.* from users u cross join lateral user_document(u) d;
insert into popular_pages
select id, case when is_personal then owner_id end, follower_count from pages where follower_count > 0
  and deleted_at is null;
insert into spellings
select distinct w.word from (
  select unnest(string_to_array(search_fold(search_spaced(uuid || ' ' || name || ' ' || array_to_string(tags, ' '))),
    ' '))
  from pages where deleted_at is null
  union all
  select unnest(string_to_array(search_fold(login || ' ' || first_name || ' ' || last_name), ' ')) from users) w (word)
where length(w.word) between 3 and 40`;
