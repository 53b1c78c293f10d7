import type { Secret } from "../../security/secret.ts";

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** What a letter about posts links to. The last two end such letters, and need no sign-in. */
export interface LetterLinks {
  site: string;
  /** Where the web client shows this post. */
  post: (id: string) => string;
  /** For a mail program: one POST does it (RFC 8058). */
  oneClick: string;
  /** For a person: a page with a button, since whoever looks through letters for viruses follows every link. */
  unsubscribe: string;
}

/** What a link holds: whose letters, and a mark that only this installation makes. It opens nothing else, so it may be in a URL. */
export function unsubscribeToken(secret: Secret, userId: string): string {
  return `${userId}.${secret.mac("unsubscribe", userId)}`;
}

/** Whose letters are to end; undefined for a token that was not made here. */
export function unsubscriber(secret: Secret, token: string): string | undefined {
  const [userId = "", mark = ""] = token.split(".", 2);
  return ID.test(userId) && secret.macMatches("unsubscribe", userId, mark) ? userId : undefined;
}

export function letterLinks(secret: Secret, publicUrl: string, userId: string): LetterLinks {
  const token = encodeURIComponent(unsubscribeToken(secret, userId));
  return {
    site: `${publicUrl}/`,
    post: (id) => `${publicUrl}/#post=${id}`,
    oneClick: `${publicUrl}/api/v1/notifications/unsubscribe?token=${token}`,
    unsubscribe: `${publicUrl}/unsubscribe?token=${token}`,
  };
}

/** Headers by which mail programs know a list (RFC 2919) and offer its end (RFC 8058). `domain`: the sender's. */
export function listHeaders({ oneClick }: LetterLinks, domain: string): Record<string, string> {
  return {
    "List-Id": `<posts.${domain}>`,
    "List-Unsubscribe": `<${oneClick}>`,
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
  };
}
