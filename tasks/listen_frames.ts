import { harmless, styled } from "./terminal.ts";

export interface Frame {
  type: string;
  cursor?: string;
  reason?: string;
  data?: Record<string, unknown>;
}

interface PostData {
  id: string;
  page: { name: string };
  author: { login: string; first_name: string; last_name: string };
  text: string;
  photos: unknown[];
  place: string | null;
  reply_to: { id: string } | null;
  created_at: string;
}

interface NotificationData {
  kind: string;
  actors: { first_name: string; last_name: string }[];
  count: number;
  page: { name: string };
  unread_count: number;
}

/** The lines for a frame. Unknown types are shown by name. */
export function shown({ type, data = {} }: Frame): string[] {
  const time = styled("dim", new Date().toISOString().slice(11, 19));
  switch (type) {
    case "post.created":
    case "post.updated":
      return post(time, type === "post.updated" ? " edited" : "", data as unknown as PostData);
    case "post.deleted":
      return [`${time} ${styled("red", "deleted")} post ${data["id"]}`];
    case "post.likes":
      return [`${time} ${styled("yellow", `♥ ${data["like_count"]}`)} post ${data["id"]}`];
    case "post.replies":
      return [`${time} ${styled("yellow", `↩ ${data["reply_count"]}`)} post ${data["id"]}`];
    case "post.liked":
      return [`${time} ${styled("yellow", data["liked"] ? "you like" : "you no longer like")} post ${data["id"]}`];
    case "page.updated": {
      const { name, uuid } = data["page"] as { name: string; uuid: string };
      return [`${time} page ${data["page_id"]} is “${harmless(name)}” (@${harmless(uuid)})`];
    }
    case "following.changed":
      return [`${time} ${styled("cyan", `you: ${harmless(String(data["state"]))}`)} page ${data["page_id"]}`];
    case "notifications.read":
      return [`${time} ${styled("dim", `(${data["unread_count"]} unread)`)}`];
    case "page.hidden":
      return [`${time} ${styled("red", "hidden")} page ${data["page_id"]} (${data["reason"]})`];
    case "page.shown":
      return [`${time} ${styled("green", "shown")} page ${data["page_id"]}`];
    case "notification":
      return [notification(time, data as unknown as NotificationData)];
    default:
      return [`${time} ${harmless(type)} ${harmless(JSON.stringify(data)).slice(0, 300)}`];
  }
}

/** The text of a notification, with its page. */
const ACTS: Record<string, (page: string) => string> = {
  follower: (page) => `follows ${page}`,
  request: (page) => `asks to follow ${page}`,
  accepted: (page) => `lets you follow ${page}`,
  like: (page) => `liked your post on ${page}`,
  reply: (page) => `answered you on ${page}`,
  tag: (page) => `tagged you on ${page}`,
};

function notification(time: string, { kind, actors, count, page, unread_count }: NotificationData): string {
  const [first] = actors;
  const name = styled("bold", harmless(first ? `${first.first_name} ${first.last_name}` : "Somebody"));
  const others = count > 1 ? ` and ${count - 1} ${count === 2 ? "other" : "others"}` : "";
  const act = (ACTS[kind] ?? ((name) => `${harmless(kind)} ${name}`))(`“${harmless(page.name)}”`);
  return `${time} ${styled("yellow", "◆")} ${name}${others} ${act} ${styled("dim", `(${unread_count} unread)`)}`;
}

function post(time: string, edited: string, { author, page, text, photos, place, reply_to, id }: PostData): string[] {
  const name = styled("bold", harmless(`${author.first_name} ${author.last_name}`));
  const on = `@${harmless(author.login)} on “${harmless(page.name)}”`;
  const about = [
    ...(reply_to ? [`reply to ${reply_to.id}`] : []),
    ...(place ? [`at ${harmless(place)}`] : []),
    ...(photos.length > 0 ? [`${photos.length} photo${photos.length === 1 ? "" : "s"}`] : []),
    `post ${id}`,
  ].join(" · ");
  return [
    `${time} ${name} ${styled("cyan", on)}${edited}`,
    ...harmless(text).split("\n").filter((line) => line !== "").map((line) => `         ${line}`),
    styled("dim", `         ${about}`),
  ];
}
