delete from nodes
