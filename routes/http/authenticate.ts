import type { AppContext, ServiceContext } from "../../context.ts";
import { AppError } from "../../errors.ts";
import type { Caller } from "../../security/principals.ts";

/** The caller of a request by its `Authorization` header. Throws a 401 or 403 `AppError`. */
export function authenticate(ctx: ServiceContext, header: string | null): Promise<Caller> {
  const token = bearer(header);
  if (token === undefined) throw new AppError("token-missing");
  const verified = ctx.tokens.verify(token, "access");
  if (!verified.ok) throw new AppError("token-invalid");
  return ctx.principals.authenticate(verified.claims);
}

/** The cookie that lets a browser show pictures; it goes with no other request. */
const PHOTO_COOKIE = "rookery_photos";

/** `token` as a cookie for pictures only, so long as it holds; without one, its end. */
export function photoCookie({ config }: AppContext, path: string, token: string | null): string {
  const age = token === null ? 0 : Math.floor(config.ACCESS_TOKEN_TTL / 1000);
  const secure = config.PUBLIC_URL?.startsWith("https:") ? "; Secure" : "";
  return `${PHOTO_COOKIE}=${token ?? ""}; Path=${path}; Max-Age=${age}; HttpOnly; SameSite=Strict${secure}`;
}

/** Who a browser's picture is for; nobody where the cookie is missing or does not hold any more. */
export async function callerByCookie(ctx: ServiceContext, request: Request): Promise<Caller | undefined> {
  const token = new RegExp(`(?:^|; ?)${PHOTO_COOKIE}=([^;]+)`).exec(request.headers.get("cookie") ?? "")?.[1];
  if (token === undefined) return undefined;
  try {
    return await authenticate(ctx, `Bearer ${token}`);
  } catch (error) {
    if (error instanceof AppError && (error.status === 401 || error.status === 403)) return undefined;
    throw error;
  }
}

/** The scheme is matched without regard to case (RFC 9110 §11.1). */
function bearer(header: string | null): string | undefined {
  if (!header) return undefined;
  return /^bearer +([^\s,]+) *$/i.exec(header)?.[1];
}
