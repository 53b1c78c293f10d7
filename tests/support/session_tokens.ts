import { Buffer } from "node:buffer";
import { Tokens } from "../../security/tokens.ts";
import type { Json } from "./api.ts";
import type { TestApp } from "./app.ts";
import type { Person } from "./person.ts";

/** The tokens of the person's session with another time: negative for expired ones. No test has to be fast enough. */
export function lasting(ms: number, { ctx }: TestApp, { token }: Person): { token: string; refresh_token: string } {
  const decode = (part: string): Json => JSON.parse(`${Buffer.from(part, "base64url")}`);
  const [header, payload] = token.split(".", 2).map(decode) as [Json, Json];
  const { sub: user_id, sid, gen, iat: issued_at_s } = payload;
  const { access_token, refresh_token } = new Tokens(ctx.keys, { accessMs: ms, refreshMs: ms })
    .mint({ user_id, sid, gen, issued_at_s, kid: header.kid });
  return { token: access_token, refresh_token };
}
