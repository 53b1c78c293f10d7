import type { Reader, Writer } from "./sql.ts";

/** The kind of token: a person's, with their view of VK, or an application's. */
export type TokenKind = "user" | "service";

/** VK tokens, encrypted. They are outside actors: each function is one statement, and the row alone decides. */
export interface VkTokenRow {
  version: string;
  kind: TokenKind;
  /** Null if VK has refused it. */
  sealed: Uint8Array | null;
}

/** Replaces any earlier token; false if the account was deleted. */
export async function storeVkToken(
  sql: Writer,
  userId: string,
  { version, kind, sealed }: VkTokenRow,
): Promise<boolean> {
  const rows = await sql.execute(
    // The lock keeps the account until the statement is done.
    `insert into vk_tokens (user_id, version, kind, sealed)
    select id, $2::uuid, $3::text, $4::bytea from users where id = $1 for key share
    on conflict (user_id) do update
    set version = excluded.version, kind = excluded.kind, sealed = excluded.sealed, stored_at = now()
    returning user_id`,
    [userId, version, kind, sealed],
    "vk_token.store",
  );
  return rows.length > 0;
}

/** The current token's metadata, without the token. */
export async function vkTokenInForce(
  sql: Reader,
  userId: string,
): Promise<{ version: string; kind: TokenKind; refused: boolean } | undefined> {
  const [row] = await sql.query<{ version: string; kind: TokenKind; refused: boolean }>(
    "select version, kind, sealed is null as refused from vk_tokens where user_id = $1",
    [userId],
    "vk_token.in_force",
  );
  return row;
}

export async function vkToken(sql: Reader, userId: string): Promise<VkTokenRow | undefined> {
  const [row] = await sql.query<VkTokenRow>(
    "select version, kind, sealed from vk_tokens where user_id = $1",
    [userId],
    "vk_token.of",
  );
  return row;
}

export async function deleteVkToken(sql: Writer, userId: string): Promise<void> {
  await sql.execute("delete from vk_tokens where user_id = $1", [userId], "vk_token.delete");
}

/** VK refused the token: only the fact that it existed is kept. A token stored meanwhile stays. */
export async function dropVkToken(sql: Writer, userId: string, version: string): Promise<void> {
  await sql.execute(
    "update vk_tokens set sealed = null where user_id = $1 and version = $2",
    [userId, version],
    "vk_token.drop",
  );
}

/** All tokens, after an account and in the order of accounts. */
export async function sealedVkTokens(
  sql: Reader,
  after: string,
  most: number,
): Promise<{ user_id: string; version: string; sealed: Uint8Array }[]> {
  return await sql.query(
    `select user_id, version, sealed from vk_tokens where user_id > $1 and sealed is not null order by user_id
      limit $2`,
    [after, most],
    "vk_token.sealed",
  );
}

/** The same token encrypted with another key. */
export async function resealVkToken(sql: Writer, userId: string, version: string, sealed: Uint8Array): Promise<void> {
  await sql.execute(
    "update vk_tokens set sealed = $3 where user_id = $1 and version = $2 and sealed is not null",
    [userId, version, sealed],
    "vk_token.reseal",
  );
}
