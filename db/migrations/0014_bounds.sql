-- The statements of a function keep their plans as well: planned for the list it gets, as every other statement that takes one.
alter function kv_delete(uuid, text[]) set plan_cache_mode = force_custom_plan;
