import { z } from "zod";
import { bounceOf, liftBounce } from "../db/bounces.ts";
import { decodeTimeCursor, encodeCursor, listAbout } from "../contract/cursors.ts";
import { type Credentials, credentialsOf } from "../db/credentials.ts";
import { listUsers, type RegisterRow, userById } from "../db/users.ts";
import type { AppContext } from "../context.ts";
import { AppError } from "../lib/errors.ts";
import { newNonce } from "../security/codes.ts";
import { newId } from "../lib/ids.ts";
import { mailboxMark } from "../security/mailbox.ts";
import { hashPassword, verifyAccount } from "../security/passwords.ts";
import { renderAccount } from "../contract/render.ts";
import { answer, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import * as schemas from "../contract/schemas.ts";

/** How long a code is valid (`docs/limits.md`). */
export const CODE_TTL_MS = 30 * 60_000;

const params = z.object({ id: schemas.id });
/** The reason for the record of moderation, as a query because DELETE has no body. */
export const reasonQuery = z.strictObject({ reason: schemas.reason.optional() });
const tags = ["Accounts"];

export function userRoutes(api: Api): void {
  registrationRoute(api);
  accountReadRoutes(api);
  bounceRoute(api);
  profileRoute(api);
  accountAdminRoutes(api);
  accountBlockRoutes(api);
}

function registrationRoute(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/users",
    access: "optional",
    summary: "Register an account",
    tags,
    limit: "register",
    creates: true,
    body: z.strictObject({
      login: schemas.newLogin,
      password: schemas.password,
      first_name: schemas.personName,
      last_name: schemas.personName,
      email: schemas.email,
    }),
    answers: { 201: { description: "The account; a code was sent to its email", schema: schemas.Account } },
  }, async ({ ctx, caller, body, receipt }) => {
    const byAdmin = caller?.role === "admin";
    if (ctx.config.REGISTRATION === "admin" && !byAdmin) throw new AppError("registration-closed");
    const done = receipt?.result as { account?: unknown } | undefined;
    if (done) {
      const made = await userById(ctx.sql, receipt!.id);
      if (made) return answer(201, renderAccount(made), { Location: `/api/v1/users/${made.id}` });
    }
    // The account's id is the receipt's, so that a repeated registration finds the account it created.
    const row = await newAccount(
      ctx,
      { ...body, id: receipt?.id ?? newId() },
      byAdmin && ctx.config.REGISTRATION === "admin",
    );
    const created = await ctx.actors.ask("user", row.id, "register", { row }, { receipt: receipt?.id });
    return answer(201, created, { Location: `/api/v1/users/${row.id}` });
  });
}

function accountReadRoutes(api: Api): void {
  endpoint(
    api,
    {
      method: "get",
      path: "/users/me",
      access: "signed-in",
      summary: "The own account",
      tags,
      answers: { 200: { description: "The account", schema: schemas.Account } },
    },
    async ({ ctx, caller: { id } }) => {
      const account = ctx.actors.ask("user", id, "account");
      const [shown, email_bounce] = await Promise.all([account, bounceOf(ctx.sql, id)]);
      return answer(200, { ...shown, email_bounce });
    },
  );

  endpoint(api, {
    method: "get",
    path: "/users",
    access: "admin",
    summary: "Accounts, newest first",
    tags,
    query: z.strictObject({ ...paging, role: schemas.role.optional(), q: z.string().min(1).max(100).optional() }),
    answers: { 200: { description: "Accounts", schema: listOf(schemas.Account) } },
  }, async ({ ctx, query: { limit, cursor, role, q } }) => {
    const list = listAbout("accounts", role, q);
    const after = cursor === undefined ? undefined : decodeTimeCursor(list, cursor);
    const rows = await listUsers(ctx.sql, {
      limit: limit + 1,
      ...(after && { after: { created_at: after.at, id: after.id } }),
      ...(role && { role }),
      ...(q && { q }),
    });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return answer(200, {
      items: items.map((row) => renderAccount(row)),
      next_cursor: rows.length > limit && last ? encodeCursor(list, [last.created_at, last.id]) : null,
    });
  });

  endpoint(api, {
    method: "get",
    path: "/users/{id}",
    access: "admin",
    summary: "Any account",
    tags,
    params,
    etag: true,
    answers: { 200: { description: "The account", schema: schemas.Account } },
  }, async ({ ctx, params: { id } }) => {
    const row = await userById(ctx.sql, id);
    if (!row) throw new AppError("not-found", `No account has the id "${id}"`);
    return answer(200, renderAccount(row, await bounceOf(ctx.sql, id)));
  });
}

function bounceRoute(api: Api): void {
  endpoint(api, {
    method: "delete",
    path: "/users/{id}/bounce",
    access: "signed-in",
    summary: "Clear the bounce of the account's email, so that emails are sent again",
    tags,
    params,
    limit: "codes",
    answers: { 204: { description: "Emails are sent to the address again" } },
  }, async ({ ctx, caller, params: { id } }) => {
    if (caller.id !== id && caller.role !== "admin") {
      throw new AppError("forbidden", "Only the owner or an administrator can clear a bounce");
    }
    if (!await liftBounce(ctx.sql, id, caller)) throw new AppError("not-found", `No account has the id "${id}"`);
    return answer(204);
  });
}

function profileRoute(api: Api): void {
  endpoint(api, {
    method: "patch",
    path: "/users/{id}",
    access: "signed-in",
    summary: "Change a profile; a new email stays pending until its code is given",
    tags,
    params,
    // The current password could be guessed here as at sign-in.
    limit: "signin",
    guesses: ({ caller, params, body }) =>
      // For another person's profile the password is not checked.
      body.current === undefined || params.id !== caller.id ? undefined : `password of account ${caller.id}`,
    body: z.strictObject({
      first_name: schemas.personName.optional(),
      last_name: schemas.personName.optional(),
      email: schemas.email.optional(),
      current: schemas.givenPassword.optional().meta({
        description: "The password; required to change the own email",
      }),
    }),
    answers: { 200: { description: "The account", schema: schemas.Account } },
  }, async ({ ctx, caller, params: { id }, body }) => {
    if (caller.id !== id && caller.role !== "admin") {
      throw new AppError("forbidden", "Only the owner or an administrator can change a profile");
    }
    const { current, ...fields } = body;
    // An administrator does not know the password of the person whose profile is changed.
    const proof = caller.id === id && current !== undefined ? await proofOf(ctx, id, current, fields.email) : {};
    const change = { by: caller, ...fields, ...proof, ...newCode(), notice_job: newId() };
    return answer(200, await ctx.actors.ask("user", id, "update_profile", change));
  });
}

function accountAdminRoutes(api: Api): void {
  endpoint(api, {
    method: "delete",
    path: "/users/{id}",
    access: "admin",
    hides: true,
    summary: "Delete an account with everything it owns",
    tags,
    params,
    query: reasonQuery,
    answers: { 204: { description: "Deleted" } },
  }, async ({ ctx, caller, params: { id }, query }) => {
    await ctx.actors.ask("user", id, "delete", { by: caller, ...query });
    return answer(204);
  });

  endpoint(
    api,
    {
      method: "put",
      path: "/users/{id}/role",
      access: "admin",
      hides: true,
      summary: "Change a role",
      tags,
      params,
      body: z.strictObject({ role: schemas.role, reason: schemas.reason.optional() }),
      answers: { 200: { description: "The account", schema: schemas.Account } },
    },
    async ({ ctx, caller, params: { id }, body }) => {
      return answer(200, await ctx.actors.ask("user", id, "set_role", { by: caller, ...body }));
    },
  );
}

function accountBlockRoutes(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/users/{id}/block",
    access: "admin",
    hides: true,
    summary: "Block an account and hide its pages",
    tags,
    params,
    query: z.strictObject({ dry_run: schemas.dryRun }),
    body: z.strictObject({ reason: schemas.reason, until: schemas.blockEnd.nullish() }),
    answers: { 200: { description: "The account", schema: z.union([schemas.Account, schemas.Reach]) } },
  }, async ({ ctx, caller, params: { id }, query, body: { reason, until } }) => {
    const dry_run = query.dry_run === "true";
    const block = { by: caller, reason, until: blockUntil(until ?? null), job: newId(), dry_run };
    const done = await ctx.actors.ask("user", id, "block", block);
    return answer(200, dry_run ? { dry_run, ...done } : done);
  });

  endpoint(
    api,
    {
      method: "delete",
      path: "/users/{id}/block",
      access: "admin",
      hides: true,
      summary: "Unblock an account",
      tags,
      params,
      query: reasonQuery,
      answers: { 200: { description: "The account", schema: schemas.Account } },
    },
    async ({ ctx, caller, params: { id }, query }) => {
      return answer(200, await ctx.actors.ask("user", id, "unblock", { by: caller, ...query }));
    },
  );
}

/** The proof that a correct current password gives. Throws a problem of the field `current`. */
async function proofOf(ctx: AppContext, id: string, current: string, email: string | undefined) {
  const { password_version } = await currentPassword(ctx, id, current);
  return {
    password_version,
    ...(email === undefined ? {} : { mailbox_mark: await mailboxMark(ctx.secret, email, current) }),
  };
}

/**
 * Checks the current password of a signed-in person. A wrong one does not end the session. Throws a problem of the
 * field `current`.
 */
export async function currentPassword(ctx: AppContext, id: string, current: string): Promise<Credentials> {
  const account = await credentialsOf(ctx.sql, id);
  if (await verifyAccount(account, current)) return account!;
  throw new AppError("validation", undefined, {
    errors: [{ path: "current", rule: "wrong", message: "Expected the current password" }],
  });
}

/** The data of a code: its nonce, its expiry, and the job that sends it. */
export function newCode(now = Date.now()): { nonce: string; expires_at: string; job: string } {
  return { nonce: newNonce(), expires_at: new Date(now + CODE_TTL_MS).toISOString(), job: newId() };
}

/** The last time with a four-digit year in any UTC offset. */
const LAST_MS = Date.UTC(9999, 11, 31);

/** Null is permanent. Throws for an end in the past. */
export function blockUntil(until: string | null): string {
  if (until === null) return "infinity";
  const end = Date.parse(until);
  if (end > Date.now() && end <= LAST_MS) return new Date(end).toISOString();
  throw new AppError("validation", "The end of a block must be in the future", {
    errors: [{ path: "until", rule: "future", message: `Expected a time in the future, got "${until}"` }],
  });
}

interface NewAccount {
  id: string;
  login: string;
  password: string;
  first_name: string;
  last_name: string;
  email: string;
}

/** The row of a new account. One created by an administrator counts as verified. */
export async function newAccount(
  ctx: Pick<AppContext, "config">,
  { password, ...account }: NewAccount,
  verified: boolean,
  role: RegisterRow["role"] = "user",
): Promise<RegisterRow> {
  return accountRow(ctx, { ...account, password_hash: await hashPassword(password) }, verified, role);
}

export function accountRow(
  ctx: Pick<AppContext, "config">,
  { id, login, password_hash, first_name, last_name, email }: Omit<NewAccount, "password"> & { password_hash: string },
  verified: boolean,
  role: RegisterRow["role"],
): RegisterRow {
  const now = Date.now();
  const code = newCode(now);
  return {
    id,
    login,
    password_hash,
    first_name,
    last_name,
    email,
    role,
    page_id: newId(),
    verified_at: verified ? new Date(now).toISOString() : null,
    verify_nonce: verified ? null : code.nonce,
    verify_expires_at: verified ? null : code.expires_at,
    letter_job: code.job,
    expire_job: newId(),
    expire_at: new Date(now + ctx.config.UNVERIFIED_TTL).toISOString(),
    at: new Date(now).toISOString(),
  };
}
