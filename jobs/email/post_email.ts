import type { EmailPost } from "../../db/deliveries.ts";
import { type EmailText, layOut, type Part } from "./layout.ts";
import type { EmailLinks } from "./unsubscribe.ts";

/** Length of a quote from a post in an email of its own, and in a digest. */
const QUOTED = 1_000;
const QUOTED_IN_DIGEST = 280;
const IN_SUBJECT = 60;

/** The email about one new post to one follower of its page. */
export function postEmail(post: EmailPost, links: EmailLinks): EmailText {
  const subject = `${post.page}: ${cut(firstLine(post), IN_SUBJECT)}`;
  return layOut(subject, [
    { heading: titleOf(post) },
    ...contentOf(post, QUOTED),
    { link: links.post(post.id), words: "Read it on Rookery" },
    footer(`You follow the page “${post.page}”.`, links),
  ]);
}

/** The email with the posts of a day, newest first. */
export function digestEmail(
  posts: readonly EmailPost[],
  total: number,
  links: EmailLinks,
): EmailText {
  const subject = total === 1 ? "1 new post" : `${total} new posts`;
  const more = total - posts.length;
  return layOut(subject, [
    ...posts.flatMap((post): Part[] => [
      { heading: titleOf(post) },
      ...contentOf(post, QUOTED_IN_DIGEST),
      { link: links.post(post.id), words: "Read it on Rookery" },
    ]),
    ...(more > 0 ? [{ paragraph: `And ${more} more.` }] : []),
    { link: links.site, words: "All posts on Rookery" },
    footer("You chose one email a day about the pages you follow.", links),
  ]);
}

function titleOf({ page, author, is_reply }: EmailPost): string {
  const by = page === author ? page : `${author} on ${page}`;
  return is_reply ? `${by}, in reply to a post` : by;
}

function contentOf({ text, photos }: EmailPost, maxLength: number): Part[] {
  const parts: Part[] = text === "" ? [] : [{ paragraph: cut(text, maxLength) }];
  if (photos > 0) parts.push({ paragraph: photos === 1 ? "With a photo." : `With ${photos} photos.` });
  return parts;
}

function firstLine({ text, photos }: EmailPost): string {
  return text.trim().split("\n", 1)[0] || (photos === 1 ? "a photo" : `${photos} photos`);
}

function footer(reason: string, { unsubscribe }: EmailLinks): Part {
  return { note: reason, link: { url: unsubscribe, words: "Unsubscribe" } };
}

/** Truncates a text at a whole character. */
function cut(text: string, maxLength: number): string {
  const characters = [...text];
  return characters.length <= maxLength ? text : `${characters.slice(0, maxLength - 1).join("").trimEnd()}…`;
}
