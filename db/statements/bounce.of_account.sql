select b.email as address, b.code, b.at, b.until
from users u
join bounces b on b.email = lower(u.email)
where u.id = $1 and b.until > now()
