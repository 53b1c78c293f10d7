with search_input as materialized (
  select ltrim(lower($3), '@#') as handle, key, key || chr(1114111) as key_end, grams,
    (spelled && grams) || (stemmed && grams) as words,
    -- The last word may be a prefix, if it is long enough; after other words in any form.
    case
      when length(key) > 2 and numnode(spelled) > 0 then case
        when numnode(stemmed) > 1 then (spelled::text || ':*')::tsquery || (stemmed::text || ':*')::tsquery
        else (spelled::text || ':*')::tsquery
      end && grams
    end as prefix,
    not exists (
      select
      from unnest(string_to_array(search_fold(search_spaced($3)), ' ')) w (word)
      where length(word) between 4 and 40 and not exists (select from spellings s where s.word = w.word)
    ) as known,
    $4::int as most, $5::int as after_rank, -$6::int as after_followers, $7::uuid as after_id, $8::text[] as seen
  -- Text without spaces is searched by its grams, everything else by its words.
  from (
    select search_key($3) as key, search_asked($3) as grams,
      plainto_tsquery('simple', search_fold(search_spaced($3))) as spelled,
      plainto_tsquery('russian', search_lower(search_spaced($3))) as stemmed
  ) a
),
input_words as materialized (
  select word, place, place <= 3 as correctable, least_like,
    set_config('pg_trgm.similarity_threshold', (min(least_like) over ())::text, true),
    array(
      select overlay(word placing reverse(substr(word, i, 2)) from i for 2) from generate_series(1, length(word) - 1) i
    ) as transpositions
  from (
    select word, row_number() over (order by length(word) desc, word) as place,
      case length(word) when 4 then 0.25 when 5 then 0.3 else 0.4 end::real as least_like
    from unnest(string_to_array(search_fold(search_spaced($3)), ' ')) w (word)
    where length(word) between 4 and 40
  ) w
),
candidate_words as (
  select w.place, quote_literal(n.word) as word, n.nearness, max(n.nearness) over (partition by w.place) as nearest
  from input_words w
  cross join lateral (
    select word, max(nearness) as nearness
    from (
      (
        select s.word, similarity(s.word, w.word)
        from spellings s
        where w.correctable and s.word % w.word and similarity(s.word, w.word) >= w.least_like
        order by similarity(s.word, w.word) desc, s.word
        limit 6
      )
      union all
      select s.word, 0.7
      from spellings s
      where w.correctable and s.word = any(w.transpositions)
      union all
      select w.word, 0
    ) c (word, nearness)
    group by word
  ) n
),
corrections as materialized (
  select string_agg(nearest, ' & ')::tsquery && (select grams from search_input) as nearest,
    string_agg(near, ' & ')::tsquery && (select grams from search_input) as near
  from (
    select '(' || string_agg(word, '|') filter (where nearness = nearest) || ')' as nearest,
      '(' || string_agg(word, '|') || ')' as near
    -- Not much less similar than the nearest. A word that is known itself is unlikely to mean a very different one.
    from candidate_words
    where nearness >= nearest * 2 / 3
    group by place
  ) m
),
users_prefix_rows as materialized (
  select *
  from (
    (
      select s.user_id as id,
        case
          when s.handle = a.handle then 0
          when s.handle_key = a.key then 1
          when s.name_key = a.key or s.surname_key = a.key then 2
          when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
            s.surname_key, a.key
          ) then case when ts_filter(s.words, '{a}') @@ a.words then 3 else 4 end
        end as rank,
        0 as source
      from search_input a, user_search s
      where s.handle_key >= (select key from search_input)
        and s.handle_key < any(array[(select key_end from search_input)])
      order by s.handle_key
      limit 300
    )
    union all (
      select s.user_id as id,
        case
          when s.handle = a.handle then 0
          when s.handle_key = a.key then 1
          when s.name_key = a.key or s.surname_key = a.key then 2
          when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
            s.surname_key, a.key
          ) then case when ts_filter(s.words, '{a}') @@ a.words then 3 else 4 end
        end as rank,
        1 as source
      from search_input a, user_search s
      where s.name_key >= (select key from search_input) and s.name_key < any(array[(select key_end from search_input)])
      order by s.name_key
      limit 300
    )
    union all (
      select s.user_id as id,
        case
          when s.handle = a.handle then 0
          when s.handle_key = a.key then 1
          when s.name_key = a.key or s.surname_key = a.key then 2
          when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
            s.surname_key, a.key
          ) then case when ts_filter(s.words, '{a}') @@ a.words then 3 else 4 end
        end as rank,
        2 as source
      from search_input a, user_search s
      where s.surname_key >= (select key from search_input)
        and s.surname_key < any(array[(select key_end from search_input)])
      order by s.surname_key
      limit 300
    )
  ) r
  where coalesce((select after_rank from search_input), 0) <= 4 and 0 < (select most from search_input)
),
users_prefix as materialized (
  select c.*
  from (
    select c.id, c.rank, coalesce(n.followers, 0) as followers
    from (
      select id, rank
      from users_prefix_rows
      union
      select r.*
      from (
        select user_id
        from popular_pages
        where user_id is not null and exists (select from users_prefix_rows group by source having count(*) = 300)
        order by followers desc, user_id
        limit 400
      ) top
      cross join lateral (
        select s.user_id,
          case
            when s.handle = a.handle then 0
            when s.handle_key = a.key then 1
            when s.name_key = a.key or s.surname_key = a.key then 2
            when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
              s.surname_key, a.key
            ) then case when ts_filter(s.words, '{a}') @@ a.words then 3 else 4 end
          end
        from search_input a, user_search s
        where s.user_id = top.user_id
        limit 1
      ) r
    ) c
    left join lateral (select n.followers from popular_pages n where n.user_id = c.id limit 1) n on true
    cross join search_input a
    where c.rank is not null
      and (
        a.after_rank is null
        or right(c.id::text, 8) <> all(a.seen)
          and (c.rank, -coalesce(n.followers, 0), c.id) > (a.after_rank, a.after_followers, a.after_id)
      )
    order by c.rank, coalesce(n.followers, 0) desc, c.id
  ) c
  cross join lateral (select from findable_users($1, $2) f where f.id = c.id limit 1) f
  order by c.rank, c.followers desc, c.id
  limit (select most from search_input)
),
users_words_rows as materialized (
  select *
  from (
    (
      select s.user_id as id,
        case
          when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
            s.surname_key, a.key
          ) then null
          when ts_filter(s.words, '{a}') @@ a.words then 5
          when ts_filter(s.words, '{a,b}') @@ a.words then 6
          when s.words @@ a.words then 7
        end as rank,
        0 as source
      from search_input a, (select * from user_search where words @@ (select words from search_input) offset 0) s
      limit 600
    )
  ) r
  where coalesce((select after_rank from search_input), 0) <= 7
    and (select count(*) from users_prefix) < (select most from search_input)
),
users_words as materialized (
  select c.*
  from (
    select c.id, c.rank, coalesce(n.followers, 0) as followers
    from (
      select id, rank
      from users_words_rows
      union
      select r.*
      from (
        select user_id
        from popular_pages
        where user_id is not null and exists (select from users_words_rows group by source having count(*) = 600)
        order by followers desc, user_id
        limit 400
      ) top
      cross join lateral (
        select s.user_id,
          case
            when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
              s.surname_key, a.key
            ) then null
            when ts_filter(s.words, '{a}') @@ a.words then 5
            when ts_filter(s.words, '{a,b}') @@ a.words then 6
            when s.words @@ a.words then 7
          end
        from search_input a, user_search s
        where s.user_id = top.user_id
        limit 1
      ) r
    ) c
    left join lateral (select n.followers from popular_pages n where n.user_id = c.id limit 1) n on true
    cross join search_input a
    where c.rank is not null
      and (
        a.after_rank is null
        or right(c.id::text, 8) <> all(a.seen)
          and (c.rank, -coalesce(n.followers, 0), c.id) > (a.after_rank, a.after_followers, a.after_id)
      )
    order by c.rank, coalesce(n.followers, 0) desc, c.id
  ) c
  cross join lateral (select from findable_users($1, $2) f where f.id = c.id limit 1) f
  order by c.rank, c.followers desc, c.id
  limit (select most from search_input)
),
users_word_prefix_rows as materialized (
  select *
  from (
    (
      select s.user_id as id,
        case
          when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
            s.surname_key, a.key
          ) or s.words @@ a.words then null
          when s.words @@ a.prefix then 8
        end as rank,
        0 as source
      from search_input a, (select * from user_search where words @@ (select prefix from search_input) offset 0) s
      limit 600
    )
  ) r
  where coalesce((select after_rank from search_input), 0) <= 8
    and (select count(*) from users_prefix) + (select count(*) from users_words) < (select most from search_input)
),
users_word_prefix as materialized (
  select c.*
  from (
    select c.id, c.rank, coalesce(n.followers, 0) as followers
    from (
      select id, rank
      from users_word_prefix_rows
      union
      select r.*
      from (
        select user_id
        from popular_pages
        where user_id is not null and exists (select from users_word_prefix_rows group by source having count(*) = 600)
        order by followers desc, user_id
        limit 400
      ) top
      cross join lateral (
        select s.user_id,
          case
            when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
              s.surname_key, a.key
            ) or s.words @@ a.words then null
            when s.words @@ a.prefix then 8
          end
        from search_input a, user_search s
        where s.user_id = top.user_id
        limit 1
      ) r
    ) c
    left join lateral (select n.followers from popular_pages n where n.user_id = c.id limit 1) n on true
    cross join search_input a
    where c.rank is not null
      and (
        a.after_rank is null
        or right(c.id::text, 8) <> all(a.seen)
          and (c.rank, -coalesce(n.followers, 0), c.id) > (a.after_rank, a.after_followers, a.after_id)
      )
    order by c.rank, coalesce(n.followers, 0) desc, c.id
  ) c
  cross join lateral (select from findable_users($1, $2) f where f.id = c.id limit 1) f
  order by c.rank, c.followers desc, c.id
  limit (select most from search_input)
),
users_nearest_corrections_rows as materialized (
  select *
  from (
    (
      select s.user_id as id,
        case
          when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
            s.surname_key, a.key
          ) or s.words @@ a.words or s.words @@ a.prefix then null
          when s.words @@ m.nearest then 9
        end as rank,
        0 as source
      from search_input a, corrections m,
        (select * from user_search where words @@ (select nearest from corrections) offset 0) s
      limit 600
    )
  ) r
  where coalesce((select after_rank from search_input), 0) <= 9
    and (select count(*) from users_prefix) + (select count(*) from users_words) + (
      select count(*) from users_word_prefix
    ) < (select most from search_input)
    and (
      not (select known from search_input)
      or (select count(*) from users_prefix) + (select count(*) from users_words) + (
        select count(*) from users_word_prefix
      ) = 0
    )
),
users_nearest_corrections as materialized (
  select c.*
  from (
    select c.id, c.rank, coalesce(n.followers, 0) as followers
    from (
      select id, rank
      from users_nearest_corrections_rows
      union
      select r.*
      from (
        select user_id
        from popular_pages
        where user_id is not null
          and exists (select from users_nearest_corrections_rows group by source having count(*) = 600)
        order by followers desc, user_id
        limit 400
      ) top
      cross join lateral (
        select s.user_id,
          case
            when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
              s.surname_key, a.key
            ) or s.words @@ a.words or s.words @@ a.prefix then null
            when s.words @@ m.nearest then 9
          end
        from search_input a, corrections m, user_search s
        where s.user_id = top.user_id
        limit 1
      ) r
    ) c
    left join lateral (select n.followers from popular_pages n where n.user_id = c.id limit 1) n on true
    cross join search_input a
    where c.rank is not null
      and (
        a.after_rank is null
        or right(c.id::text, 8) <> all(a.seen)
          and (c.rank, -coalesce(n.followers, 0), c.id) > (a.after_rank, a.after_followers, a.after_id)
      )
    order by c.rank, coalesce(n.followers, 0) desc, c.id
  ) c
  cross join lateral (select from findable_users($1, $2) f where f.id = c.id limit 1) f
  order by c.rank, c.followers desc, c.id
  limit (select most from search_input)
),
users_near_corrections_rows as materialized (
  select *
  from (
    (
      select s.user_id as id,
        case
          when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
            s.surname_key, a.key
          ) or s.words @@ a.words or s.words @@ a.prefix or s.words @@ m.nearest then null
          when s.words @@ m.near then 10
        end as rank,
        0 as source
      from search_input a, corrections m,
        (select * from user_search where words @@ (select near from corrections) offset 0) s
      limit 600
    )
  ) r
  where coalesce((select after_rank from search_input), 0) <= 10
    and (select count(*) from users_prefix) + (select count(*) from users_words) + (
      select count(*) from users_word_prefix
    ) + (select count(*) from users_nearest_corrections) < (select most from search_input)
    and (
      not (select known from search_input)
      or (select count(*) from users_prefix) + (select count(*) from users_words) + (
        select count(*) from users_word_prefix
      ) = 0
    )
),
users_near_corrections as materialized (
  select c.*
  from (
    select c.id, c.rank, coalesce(n.followers, 0) as followers
    from (
      select id, rank
      from users_near_corrections_rows
      union
      select r.*
      from (
        select user_id
        from popular_pages
        where user_id is not null
          and exists (select from users_near_corrections_rows group by source having count(*) = 600)
        order by followers desc, user_id
        limit 400
      ) top
      cross join lateral (
        select s.user_id,
          case
            when starts_with(s.handle_key, a.key) or starts_with(s.name_key, a.key) or starts_with(
              s.surname_key, a.key
            ) or s.words @@ a.words or s.words @@ a.prefix or s.words @@ m.nearest then null
            when s.words @@ m.near then 10
          end
        from search_input a, corrections m, user_search s
        where s.user_id = top.user_id
        limit 1
      ) r
    ) c
    left join lateral (select n.followers from popular_pages n where n.user_id = c.id limit 1) n on true
    cross join search_input a
    where c.rank is not null
      and (
        a.after_rank is null
        or right(c.id::text, 8) <> all(a.seen)
          and (c.rank, -coalesce(n.followers, 0), c.id) > (a.after_rank, a.after_followers, a.after_id)
      )
    order by c.rank, coalesce(n.followers, 0) desc, c.id
  ) c
  cross join lateral (select from findable_users($1, $2) f where f.id = c.id limit 1) f
  order by c.rank, c.followers desc, c.id
  limit (select most from search_input)
)
select h.section, h.rank, h.followers, p.id, p.uuid, p.name, p.description, p.tags, p.is_private, p.is_personal,
  p.blocked_until, p.blocked_reason, p.owner_blocked_until, p.created_at, p.avatar_key,
  json_build_object(
    'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
    'avatar_key', u.avatar_key
  ) as owner,
  p.follower_count, p.post_count,
  coalesce((select f.state from follows f where f.page_id = p.id and f.user_id = $1), 'none') as follow_state
from (
  (
    select 'users' as section, h.*
    from (
      select *
      from users_prefix
      union all
      select *
      from users_words
      union all
      select *
      from users_word_prefix
      union all
      select *
      from users_nearest_corrections
      union all
      select *
      from users_near_corrections
    ) h
    order by h.rank, h.followers desc, h.id
    limit (select most from search_input)
  )
) h
left join pages p on h.section = 'pages' and p.id = h.id
join users u on u.id = coalesce(p.owner_id, h.id)
order by h.section, h.rank, h.followers desc, h.id
