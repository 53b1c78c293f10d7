import type { ServiceContext } from "../../context.ts";
import { AppError } from "../../lib/errors.ts";
import type { Caller } from "../../actors/account_cache.ts";

/** The caller of a request by its `Authorization` header. Throws a 401 or 403 `AppError`. */
export function authenticate(ctx: ServiceContext, header: string | null): Promise<Caller> {
  const token = bearer(header);
  if (token === undefined) throw new AppError("token-missing");
  const verified = ctx.tokens.verify(token, "access");
  if (!verified.ok) throw new AppError("token-invalid");
  return ctx.accounts.authenticate(verified.claims);
}

/** The scheme is case-insensitive (RFC 9110 §11.1). */
function bearer(header: string | null): string | undefined {
  if (!header) return undefined;
  return /^bearer +([^\s,]+) *$/i.exec(header)?.[1];
}
