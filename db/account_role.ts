/** What an account may do, beside its own affairs: moderators judge others' pages and posts, administrators everything. */
export type AccountRole = "user" | "moderator" | "admin";
