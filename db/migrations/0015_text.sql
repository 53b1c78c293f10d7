-- A page that was renamed keeps its old handle for itself for a while, and links to it lead to the page. The handle stays in `handles`, so
-- that nobody else takes it as handle or login; where that row goes, this one goes.
create table old_handles (
  handle text primary key references handles (handle) on delete cascade, -- folded to lower case
  page_id uuid not null references pages (id) on delete cascade,
  expires_at timestamptz not null
);
create index old_handles_page on old_handles (page_id);
create index old_handles_expiry on old_handles (expires_at);

-- Search in scripts that are written without spaces: of each run of theirs every character and every two neighbours are words, so that a part
-- of it is found (0006_search.sql has the rest).

-- As before, and Greek by hand, too; its final sigma is a sigma.
create or replace function search_lower(value text) returns text language sql immutable parallel safe as $$
  select regexp_replace(replace(
    lower(translate(normalize(value, NFKD),
      'АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯІЄҐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩςØŁĐẞ',
      'абвгдежзиклмнопрстуфхцчшщъыьэюяієґαβγδεζηθικλμνξοπρστυφχψωσøłđß')),
    U&'\0438\0306', 'й'), '[\u0300-\u036f\ufe0f''’ʼ`]+', '', 'g')
$$;

-- As before, with ß spelled out as in tags, and the marks of Japanese and Chinese that stand for a character.
create or replace function search_fold(value text) returns text language sql immutable parallel safe as $$
  select trim(regexp_replace(regexp_replace(
    translate(
      replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(search_lower(value),
        'щ', 'shch'), 'ш', 'sh'), 'ч', 'ch'), 'ж', 'zh'), 'ц', 'ts'), 'х', 'kh'), 'ю', 'iu'), 'я', 'ia'), 'x', 'ks'), 'ß', 'ss'),
      'абвгдезийклмнопрстуфыэієґyjwøłđıъь', 'abvgdeziiklmnoprstufieiegiivoldi'),
    'ii+', 'i', 'g'),
    '[^a-z0-9\u00c0-\u1fff\u2600-\u27bf\u2c00-\u2dff\u3005-\u3007\u3040-\u30fa\u30fc-\U0010ffff]+', ' ', 'g'))
$$;

-- Composed, since a syllable is one character then; what has no width separates nothing here.
create function search_composed(value text) returns text language sql immutable parallel safe as $$
  select normalize(regexp_replace(search_lower(value), '[\u200b-\u200d\u2060\ufeff]+', '', 'g'), NFC)
$$;

-- The runs: Thai, Lao, Tibetan, Burmese, Khmer and their neighbours; kana, bopomofo, Han, Hangul.
create function search_runs(value text) returns setof text language sql immutable parallel safe as $$
  select m[1] from regexp_matches(search_composed(value),
    '([\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\u3005-\u3007\u3040-\u30fa\u30fc-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua980-\ua9ff\uaa60-\uaadf\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+)',
    'g') m
$$;

-- What is left without them.
create function search_spaced(value text) returns text language sql immutable parallel safe as $$
  select regexp_replace(search_composed(value),
    '[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\u3005-\u3007\u3040-\u30fa\u30fc-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua980-\ua9ff\uaa60-\uaadf\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+',
    ' ', 'g')
$$;

-- Not by the text search parser, which takes letters for what the database's locale says.
create function search_grams(value text, weight "char") returns tsvector language sql immutable parallel safe as $$
  select coalesce(string_agg(distinct quote_literal(g.gram) || ':1' || weight::text, ' ')::tsvector, '')
  from (
    select unnest(array[c.one, lag(c.one) over (partition by r.place order by c.place) || c.one]) as gram
    from search_runs(value) with ordinality r (run, place)
    cross join lateral unnest(string_to_array(r.run, null)) with ordinality c (one, place)) g
  where g.gram is not null
$$;

-- What was typed: every two neighbours of a run, or its only character.
create function search_asked(value text) returns tsquery language sql immutable parallel safe as $$
  select coalesce(string_agg(distinct quote_literal(g.gram), ' & ')::tsquery, plainto_tsquery('simple', ''))
  from (
    select case when length(r.run) = 1 then c.one else lag(c.one) over (partition by r.place order by c.place) || c.one end as gram
    from search_runs(value) with ordinality r (run, place)
    cross join lateral unnest(string_to_array(r.run, null)) with ordinality c (one, place)) g
  where g.gram is not null
$$;

create or replace function search_words_of(value text, weight "char") returns tsvector language sql immutable parallel safe as $$
  select setweight(to_tsvector('simple', search_fold(search_spaced(value))) || to_tsvector('russian', search_lower(search_spaced(value))), weight)
    || search_grams(value, weight)
$$;

create or replace function learn_spellings(value text) returns void language plpgsql as $$
declare
  fresh text[] := array(
    select distinct w.word from unnest(string_to_array(search_fold(search_spaced(value)), ' ')) w (word)
    where length(w.word) between 3 and 40 and not exists (select from spellings s where s.word = w.word));
begin
  if fresh <> '{}' then
    perform pg_advisory_xact_lock(7274932); -- the number of 0006_search.sql
    insert into spellings select unnest(fresh) on conflict do nothing;
  end if;
end $$;

truncate page_search, user_search, spellings;
insert into page_search select d.* from pages p cross join lateral page_document(p) d where p.deleted_at is null;
insert into user_search select d.* from users u cross join lateral user_document(u) d;
insert into spellings
select distinct w.word from (
  select unnest(string_to_array(search_fold(search_spaced(uuid || ' ' || name || ' ' || array_to_string(tags, ' '))), ' '))
  from pages where deleted_at is null
  union all
  select unnest(string_to_array(search_fold(login || ' ' || first_name || ' ' || last_name), ' ')) from users) w (word)
where length(w.word) between 3 and 40;
