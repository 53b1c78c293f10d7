select sender as "from", recipient as "to", subject, text, html, at
from letters
where user_id = $1 and recipient = $2
order by at desc, id desc
limit $3
