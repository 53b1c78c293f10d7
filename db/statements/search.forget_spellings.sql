with checked_words as materialized (select word from spellings where word > $1 order by word limit 500),
deleted_words as (
  delete from spellings
  where word in (
    select word
    from checked_words l
    where not exists (select from page_search s where s.words @@ quote_literal(l.word)::tsquery)
      and not exists (select from user_search s where s.words @@ quote_literal(l.word)::tsquery)
  )
  returning word
)
select (select max(word) from checked_words) as last, (select count(*) from deleted_words) as deleted
