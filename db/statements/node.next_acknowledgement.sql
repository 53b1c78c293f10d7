select nextval('acknowledgements') as mark
