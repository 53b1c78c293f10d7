/**
 * Changes roles and passwords directly in the database, for operators who cannot sign in. The server may run; it knows
 * the change when the task ends.
 */
import { Operator } from "./admin/operator.ts";
import { readCommandLine } from "../lib/command_line.ts";
import { admin } from "./commands/admin.ts";
import type { Reader } from "../db/sql.ts";
import { cardByLogin, listUsers, userById, type UserRow } from "../db/users.ts";
import { makePassword } from "../workers/roles/administrator.ts";
import { hashPassword } from "../security/passwords.ts";
import { isBlocked } from "../db/blocks.ts";
import { configOrExit, exitCodeOf, isMade, openDatabase } from "./database.ts";
import { fail, harmless, remark, say } from "./terminal.ts";

const ROLES = { admin: "admin", administrator: "admin", moderator: "moderator" } as const;
const USER_BATCH = 100;

const { command } = readCommandLine(admin);
const config = configOrExit();
try {
  if (!await isMade(config)) fail(`There is no database in "${config.DATA_DIR}" yet; start Rookery once`);
  await using database = await openDatabase(config);
  const { sql } = database;
  const operator = new Operator(sql);
  if (command.verb === "list") await list(sql);
  else {
    const account = await cardByLogin(sql, command.login);
    if (!account) fail(`No account has the login "${harmless(command.login)}"`);
    if (command.verb === "password") {
      const password = makePassword();
      await operator.givePassword(account.id, await hashPassword(password));
      say(`The password of "${account.login}" is ${password} (printed only this once); the session has ended`);
    } else {
      const role = command.verb === "grant" ? ROLES[command.role] : "user";
      if (!await operator.setRole(account.id, role)) {
        fail(`"${account.login}" is the last administrator who can sign in; grant the role to another account first`);
      }
      say(`"${account.login}" is ${role === "admin" ? "an administrator" : `a ${role}`} now`);
    }
    await warn(sql, account.id);
  }
} catch (error) {
  fail(`Cannot access the accounts: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit(0);

async function list(sql: Reader): Promise<void> {
  for (const role of ["admin", "moderator"] as const) {
    let after: { created_at: string; id: string } | undefined;
    for (;;) {
      const users = await listUsers(sql, { limit: USER_BATCH, role, ...(after ? { after } : {}) });
      for (const user of users) say(line(user));
      after = users.at(-1);
      if (users.length < USER_BATCH) break;
    }
  }
}

function line({ login, role, email, email_verified_at, blocked_until }: UserRow): string {
  const notes = [
    ...(email_verified_at === null ? ["not verified"] : []),
    ...(isBlocked({ blocked_until }, Date.now()) ? ["blocked"] : []),
  ];
  return `${role.padEnd(10)} ${login.padEnd(24)} ${harmless(email)}${
    notes.length > 0 ? `  (${notes.join(", ")})` : ""
  }`;
}

/** Reports what would still prevent a sign-in. */
async function warn(sql: Reader, id: string): Promise<void> {
  const user = await userById(sql, id);
  if (user && isBlocked(user, Date.now())) {
    remark("The account is blocked: another administrator must unblock it first");
  }
}
