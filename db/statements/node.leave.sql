delete from nodes where id = $1
