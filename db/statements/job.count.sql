select state, count(*) as n from jobs group by state
