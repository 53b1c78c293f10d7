-- A person's VK token, sealed under SECRET_KEY. Null is one that VK refuses: it is gone, and the person is told so.
create table vk_tokens (
  user_id uuid primary key references users (id) on delete cascade,
  -- Which token this is: copies and answers of another one are void.
  version uuid not null,
  kind text not null check (kind in ('user', 'service')),
  sealed bytea,
  stored_at timestamptz not null default now()
);
