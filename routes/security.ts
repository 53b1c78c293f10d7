import { createHash } from "node:crypto";
import { z } from "zod";
import type { NewPassword, Session } from "../actors/user_commands.ts";
import { CODE_PAUSE_MS, CODE_WINDOW_MS, MAX_CODES } from "../actors/user_codes.ts";
import { REFRESH_GRACE_MS } from "../actors/user_sessions.ts";
import type { AppContext } from "../context.ts";
import { endReason } from "../db/sessions.ts";
import { type Credentials, credentials } from "../db/credentials.ts";
import { AppError } from "../lib/errors.ts";
import { deviceOf } from "../security/devices.ts";
import { newId } from "../lib/ids.ts";
import { folded, foldName } from "../lib/folding.ts";
import { RecoveryGuesses } from "../security/guesses.ts";
import { mailboxMark } from "../security/mailbox.ts";
import { hashPassword, verifyAccount } from "../security/passwords.ts";
import { blockDetail, isBlocked } from "../db/blocks.ts";
import type { Secret } from "../security/secret.ts";
import { answer } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import * as schemas from "../contract/schemas.ts";
import { currentPassword, newCode } from "./users.ts";

const tags = ["Sessions"];
const code = z.string().min(1).max(64);

export function securityRoutes(api: Api): void {
  sessionRoutes(api);
  emailCodeRoutes(api);
  passwordRoutes(api);
  recoveryRoutes(api);
}

function sessionRoutes(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/security/login",
    access: "anyone",
    summary: "Sign in; ends the account's earlier session",
    tags,
    hides: true,
    limit: "signin",
    guesses: ({ body }) => `password of ${foldName(body.login)}`,
    body: z.strictObject({ login: z.string().min(1).max(254), password: schemas.givenPassword }),
    answers: { 200: { description: "A pair of tokens", schema: schemas.TokenPair } },
  }, async ({ ctx, body, request }) => {
    const account = await checkPassword(ctx, body.login, body.password);
    const session = await ctx.actors.ask("user", account.id, "sign_in", {
      sid: newId(),
      kid: ctx.keys.currentKid,
      password_version: account.password_version,
      expires_at: sessionEnd(ctx),
      device: deviceOf(ctx.secret, account.id, request.headers.get("user-agent")),
      job: newId(),
    });
    return answer(200, pair(ctx, account.id, session));
  });

  endpoint(api, {
    method: "post",
    path: "/security/refresh",
    access: "anyone",
    summary: `Exchange a refresh token for a new pair; the same pair is returned again within ${
      REFRESH_GRACE_MS / 1000
    } seconds`,
    tags,
    hides: true,
    limit: "refresh",
    body: z.strictObject({ refresh_token: z.string().min(1).max(4096) }),
    answers: { 200: { description: "A pair of tokens", schema: schemas.TokenPair } },
  }, async ({ ctx, body }) => {
    const verified = ctx.tokens.verify(body.refresh_token, "refresh");
    if (!verified.ok) throw new AppError("token-invalid");
    const { sub, sid, gen, exp } = verified.claims;
    const snapshot = await ctx.accounts.snapshot(sub);
    if (!snapshot) throw new AppError("token-invalid");
    if (isBlocked(snapshot, Date.now())) throw new AppError("account-blocked", blockDetail(snapshot));
    if (snapshot.session?.id !== sid) throw new AppError(await endReason(ctx.sql, sub, sid));
    if (exp * 1000 <= Date.now()) throw new AppError("token-expired");
    const command = { sid, generation: gen, kid: ctx.keys.currentKid, expires_at: sessionEnd(ctx) };
    const refreshed = await ctx.actors.ask("user", sub, "refresh", command).catch(async (error) => {
      // This refusal ends the session, so it waits like any other end.
      if (error instanceof AppError && error.code === "token-reused") await ctx.deliveryBarrier.wait();
      throw error;
    });
    if ("ended" in refreshed) throw new AppError(await endReason(ctx.sql, sub, sid));
    return answer(200, pair(ctx, sub, refreshed.session));
  });

  endpoint(api, {
    method: "post",
    path: "/security/logout",
    access: "signed-in",
    summary: "Sign out",
    tags,
    hides: true,
    answers: { 204: { description: "The session has ended" } },
  }, async ({ ctx, caller }) => {
    await ctx.actors.ask("user", caller.id, "sign_out", { sid: caller.sid });
    return answer(204);
  });
}

function emailCodeRoutes(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/security/code",
    access: "signed-in",
    summary: "Send a new code to the unconfirmed email; the older code becomes invalid",
    tags,
    limit: "codes",
    answers: { 204: { description: "The code is being sent" } },
  }, async ({ ctx, caller }) => {
    await ctx.actors.ask("user", caller.id, "send_code", newCode());
    return answer(204);
  });

  endpoint(api, {
    method: "post",
    path: "/security/verify",
    access: "signed-in",
    summary: "Confirm the email by its code",
    tags,
    hides: true,
    limit: "codes",
    body: z.strictObject({ code }),
    answers: { 204: { description: "The email is verified" } },
  }, async ({ ctx, caller, body }) => {
    await ctx.actors.ask("user", caller.id, "verify", { code: body.code, job: newId() });
    return answer(204);
  });
}

function passwordRoutes(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/security/password",
    access: "signed-in",
    summary: "Change the password and end every session",
    tags,
    hides: true,
    limit: "signin",
    guesses: ({ caller }) => `password of account ${caller.id}`,
    body: z.strictObject({ current: schemas.givenPassword, new: schemas.password }),
    answers: { 204: { description: "Changed" } },
  }, async ({ ctx, caller, body }) => {
    const { password_version } = await currentPassword(ctx, caller.id, body.current);
    const { pending_email } = await ctx.actors.ask("user", caller.id, "account");
    const fresh = await newPassword(ctx, body.new, pending_email);
    await ctx.actors.ask("user", caller.id, "change_password", { password_version, ...fresh });
    return answer(204);
  });
}

function recoveryRoutes(api: Api): void {
  const guesses = new RecoveryGuesses(api.ctx.cache, api.ctx.secret, {
    pauseMs: CODE_PAUSE_MS,
    max: MAX_CODES,
    windowMs: CODE_WINDOW_MS,
  });

  endpoint(api, {
    method: "post",
    path: "/security/recover",
    access: "anyone",
    summary: "Send a recovery code; an unknown address gets the same response",
    tags,
    limit: "codes",
    body: z.strictObject({ email: schemas.email }),
    answers: { 204: { description: "If the account exists, a code is being sent" } },
  }, async ({ ctx, body, address }) => {
    await guesses.asked(address, body.email);
    const account = await credentials(ctx.sql, body.email);
    if (account) {
      // Not awaited, so that the response time does not reveal whether the account exists.
      void ctx.actors.ask("user", account.id, "recover", newCode())
        .catch((error) => ctx.log.warn("sending a recovery code failed", { error }));
    }
    return answer(204);
  });

  endpoint(api, {
    method: "post",
    path: "/security/reset",
    access: "anyone",
    summary: "Set a new password by a recovery code",
    tags,
    hides: true,
    limit: "codes",
    guesses: ({ body }) => `code of ${foldName(body.email)}`,
    body: z.strictObject({ email: schemas.email, code, new: schemas.password }),
    answers: { 204: { description: "Changed; every session has ended" } },
  }, async ({ ctx, body, address }) => {
    const { email, code } = body;
    await guesses.count(address, email);
    const account = await credentials(ctx.sql, email);
    // An actor is always asked, so that an unknown address takes the same path and time.
    const id = account?.id ?? nobodyOf(ctx.secret, email);
    // The code is checked first, so that a wrong one costs no hash.
    const { pending_email } = await ctx.actors.ask("user", id, "check_recovery", { email, code });
    const fresh = await newPassword(ctx, body.new, pending_email);
    await ctx.actors.ask("user", id, "reset_password", { email, code, ...fresh });
    await guesses.forget(address, email);
    return answer(204);
  });
}

async function newPassword(ctx: AppContext, password: string, pending_email: string | null): Promise<NewPassword> {
  const mailbox_mark = pending_email === null ? null : await mailboxMark(ctx.secret, pending_email, password);
  return { password_hash: await hashPassword(password), pending_email, mailbox_mark, job: newId() };
}

/** The id used for an address without an account: always the same id per address. */
function nobodyOf(secret: Pick<Secret, "mac">, email: string): string {
  const hex = createHash("sha256").update(secret.mac("nobody", folded(email))).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The same error in about the same time, whether the login or the password was wrong. */
async function checkPassword(
  ctx: AppContext,
  loginOrEmail: string,
  password: string,
): Promise<Credentials> {
  const account = await credentials(ctx.sql, loginOrEmail);
  if (!await verifyAccount(account, password)) throw new AppError("credentials-invalid");
  return account!;
}

function pair(ctx: AppContext, userId: string, session: Session): Record<string, unknown> {
  const { access_token, refresh_token, expires_in } = ctx.tokens.mint({
    user_id: userId,
    sid: session.id,
    gen: session.generation,
    issued_at_s: Math.floor(Date.parse(session.issued_at) / 1000),
    kid: session.kid,
  });
  return { access_token, refresh_token, token_type: "Bearer", expires_in };
}

function sessionEnd(ctx: AppContext): string {
  return new Date(Date.now() + ctx.config.REFRESH_TOKEN_TTL).toISOString();
}
