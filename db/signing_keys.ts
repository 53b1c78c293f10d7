import type { Reader } from "./sql.ts";

export interface PublicKey {
  kid: string;
  /** RFC 7517. */
  public_jwk: Record<string, string>;
}

/** The public halves of all keys that sign tokens. */
export async function publicKeys(sql: Reader): Promise<PublicKey[]> {
  return await sql.query<PublicKey>("select kid, public_jwk from signing_keys", [], "signing_key.public");
}
