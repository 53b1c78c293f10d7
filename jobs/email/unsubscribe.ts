import type { Secret } from "../../security/secret.ts";

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The links of an email about posts. The last two unsubscribe without a sign-in. */
export interface EmailLinks {
  site: string;
  /** The page of a post in the web client. */
  post: (id: string) => string;
  /** For mail programs: a single POST (RFC 8058). */
  oneClick: string;
  /** For people: a page with a button, because scanners follow every link. */
  unsubscribe: string;
}

/** The token of a link: the account's id and its MAC. It allows nothing else, so it may be in a URL. */
export function unsubscribeToken(secret: Secret, userId: string): string {
  return `${userId}.${secret.mac("unsubscribe", userId)}`;
}

/** The account of a token; undefined for a forged or foreign token. */
export function unsubscriber(secret: Secret, token: string): string | undefined {
  const [userId = "", mark = ""] = token.split(".", 2);
  return ID.test(userId) && secret.macMatches("unsubscribe", userId, mark) ? userId : undefined;
}

export function emailLinks(secret: Secret, publicUrl: string, userId: string): EmailLinks {
  const token = encodeURIComponent(unsubscribeToken(secret, userId));
  return {
    site: `${publicUrl}/`,
    post: (id) => `${publicUrl}/#post=${id}`,
    oneClick: `${publicUrl}/api/v1/notifications/unsubscribe?token=${token}`,
    unsubscribe: `${publicUrl}/unsubscribe?token=${token}`,
  };
}

/** Headers for mailing lists (RFC 2919) with one-click unsubscribe (RFC 8058). `domain` is the sender's. */
export function listHeaders({ oneClick }: EmailLinks, domain: string): Record<string, string> {
  return {
    "List-Id": `<posts.${domain}>`,
    "List-Unsubscribe": `<${oneClick}>`,
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
  };
}
