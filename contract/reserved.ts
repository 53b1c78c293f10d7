/**
 * Words that are no logins of people and no handles of pages: a person who bears one could pass for the installation or its staff, or stand
 * where a part of an address has a meaning of its own. The configured administrator's login is none of a person's choice and may be any.
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

/** In whatever case; `-` and `_` in a handle do not make it another word. */
export function isReserved(name: string): boolean {
  return RESERVED.has(name.toLowerCase().replaceAll(/[_-]/g, ""));
}
