/** The one-line text of a notification: who, what, and a quote of the target. */
import { line } from "./text.js";

/** Length of a quote from a post. */
const QUOTED = 80;

const LINES = {
  follower: ({ page }, own) => page.id === own ? ["follows you"] : ["follows your page", page.name],
  request: ({ page }, own) => page.id === own ? ["asks to follow you"] : ["asks to follow your page", page.name],
  accepted: ({ page }) => ["lets you follow", page.name],
  like: ({ post }) => ["liked your post", post.text],
  reply: ({ post }) => post.text === "" ? ["replied to you with photos"] : ["replied to you:", post.text],
  tag: ({ post }) => post.text === "" ? ["tagged you in a post"] : ["tagged you in", post.text],
};

/**
 * `own` is the reader's personal page, whose followers follow the reader. `who` and `quote` are lines with text of
 * other people.
 */
export function lineOf(notification, own) {
  const { kind, actors, count } = notification;
  const [what, text = ""] = LINES[kind](notification, own);
  return { who: namesOf(actors, count), what, quote: quoteOf(text) };
}

function namesOf([first, second], count) {
  if (!first) return ["Somebody"];
  if (count === 2 && second) return line`${nameOf(first)} and ${nameOf(second)}`;
  if (count === 1) return line`${nameOf(first)}`;
  const others = `${count - 1} ${count === 2 ? "other" : "others"}`;
  return line`${nameOf(first)} and ${[others]}`;
}

function nameOf({ first_name, last_name }) {
  return `${first_name} ${last_name}`;
}

/** One line of text that ends at a whole character. */
function quoteOf(text) {
  const whole = text.replaceAll(/\s+/g, " ").trim();
  const characters = [...whole];
  if (characters.length === 0) return [];
  if (characters.length <= QUOTED) return line`“${whole}”`;
  return line`“${characters.slice(0, QUOTED - 1).join("").replace(/[\s\p{P}]+$/u, "")}…”`;
}
