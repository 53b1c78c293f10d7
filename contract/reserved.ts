/**
 * Words that are neither logins nor handles. Their owner could pass for the installation or its staff, or the word has
 * its own meaning in a path. The configured login of the administrator is exempt.
 */
const RESERVED: ReadonlySet<string> = new Set([
  ...[
    "abuse",
    "account",
    "admin",
    "administrator",
    "administrators",
    "admins",
    "api",
    "help",
    "helpdesk",
    "hostmaster",
  ],
  ...["login", "logout", "mailerdaemon", "me", "mod", "moderation", "moderator", "moderators", "mods", "noreply"],
  ...["official", "operator", "postmaster", "register", "rookery", "root", "security", "settings", "signin", "signup"],
  ...["staff", "support", "sysadmin", "system", "webmaster"],
]);

/** Ignores case, and `-` and `_` in a handle. */
export function isReserved(name: string): boolean {
  return RESERVED.has(name.toLowerCase().replaceAll(/[_-]/g, ""));
}
