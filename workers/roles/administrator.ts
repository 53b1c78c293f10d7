import { randomBytes } from "node:crypto";
import type { AppContext } from "../../context.ts";
import { AppError } from "../../lib/errors.ts";
import { hasUsers } from "../../db/users.ts";
import { newAccount } from "../../routes/users.ts";
import { newId } from "../../lib/ids.ts";

/**
 * Creates a verified administrator at the first start with an empty database. Without a password in the settings, one
 * is generated and printed once. Later starts change nothing.
 */
export async function createAdministrator(ctx: AppContext): Promise<void> {
  if (await hasUsers(ctx.sql)) return;
  const { ADMIN_LOGIN: login, ADMIN_EMAIL: email, ADMIN_PASSWORD: given } = ctx.config;
  const password = given ?? makePassword();
  const names = { first_name: "Rookery", last_name: "Administrator" };
  const row = await newAccount(ctx, { id: newId(), login, password, email, ...names }, true, "admin");
  try {
    await ctx.actors.ask("user", row.id, "register", { row });
  } catch (error) {
    // Another node that started at the same time has created it.
    if (error instanceof AppError && (error.code === "login-taken" || error.code === "email-taken")) return;
    throw error;
  }
  if (given !== undefined) return;
  const line = `The administrator is "${login}" with the password ${password} (printed only this once)\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(line));
}

/** Always matches the password rule. */
export function makePassword(): string {
  return `${randomBytes(15).toString("base64url")}-aA1`;
}
