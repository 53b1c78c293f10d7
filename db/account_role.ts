/**
 * What an account may do besides its own affairs: moderators act on pages and posts of others, administrators on
 * everything.
 */
export type AccountRole = "user" | "moderator" | "admin";
