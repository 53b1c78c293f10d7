import type { Bounce } from "../db/bounces.ts";
import type { LivePostRow } from "../db/events.ts";
import type { LiveNotificationRow, NotificationRow } from "../db/notifications.ts";
import type { LivePageRow, ShownPageRow } from "../db/pages.ts";
import type { PhotoRow } from "../db/photos.ts";
import type { PostRow } from "../db/posts.ts";
import type { CardRow, UserRow } from "../db/users.ts";
import { encodeCursor, listAbout } from "./cursors.ts";
import { blockOf } from "../db/blocks.ts";

/** Where a photo is read, relative to the server's address; without a variant the square at its full size. */
export function photoUrl(key: string, variant?: number): string;
export function photoUrl(key: string | null): string | null;
export function photoUrl(key: string | null, variant?: number): string | null {
  return key && `/api/v1/photos/${key}${variant === undefined ? "" : `/${variant}`}`;
}

/** The public card: all that strangers learn of a person. */
export function renderCard(
  { id, login, first_name, last_name, avatar_key, page_id }: CardRow,
): Record<string, unknown> {
  return { id, login, first_name, last_name, avatar_url: photoUrl(avatar_key), page_id };
}

/** The shape in which an account is shown to itself and to administrators. */
/** An account as its owner sees it. */
export type Account = ReturnType<typeof renderAccount>;

export function renderAccount(user: UserRow, bounce?: Bounce | null) {
  return {
    ...(bounce !== undefined && { email_bounce: bounce }),
    id: user.id,
    login: user.login,
    first_name: user.first_name,
    last_name: user.last_name,
    email: user.email,
    email_verified: user.email_verified_at !== null,
    pending_email: user.pending_email,
    role: user.role,
    avatar_url: photoUrl(user.avatar_key),
    page_id: user.page_id,
    blocked: user.blocked_until === null
      ? null
      : { reason: user.blocked_reason, until: user.blocked_until === "infinity" ? null : user.blocked_until },
    created_at: user.created_at,
  };
}

export function renderPage(page: ShownPageRow, now = Date.now()): Record<string, unknown> {
  return {
    id: page.id,
    uuid: page.uuid,
    name: page.name,
    description: page.description,
    tags: page.tags,
    is_private: page.is_private,
    avatar_url: photoUrl(page.avatar_key),
    owner: renderCard(page.owner),
    follower_count: page.follower_count,
    post_count: page.post_count,
    follow_state: page.follow_state,
    blocked: blockOf(page, now),
    created_at: page.created_at,
  };
}

/** What posts show of their page and its owner, in a frame of its own. */
export function renderLivePage({ id, uuid, name, avatar_key, owner }: LivePageRow): Record<string, unknown> {
  return { page_id: id, page: { id, uuid, name, avatar_url: photoUrl(avatar_key) }, author: renderCard(owner) };
}

/** A post as one viewer sees it. */
export function renderPost(post: PostRow): Record<string, unknown> {
  return { ...renderContent(post, post.reply_visible), liked: post.liked };
}

/** A post as it goes to many listeners in one frame: without `liked`, which differs by viewer. */
export function renderLivePost(
  post: LivePostRow,
  { original, replies }: { original: boolean; replies: number },
): Record<string, unknown> {
  return { ...renderContent(post, original), reply_count: replies };
}

function renderContent(
  post: Omit<PostRow, "reply_visible" | "liked">,
  originalVisible: boolean,
): Record<string, unknown> {
  return {
    id: post.id,
    page: { id: post.page_id, uuid: post.page_uuid, name: post.page_name, avatar_url: photoUrl(post.page_avatar_key) },
    author: renderCard(post.author),
    text: post.text,
    photos: post.photos.map(renderPhoto),
    tagged_users: post.tagged_users,
    place: post.place,
    reply_to: post.reply_to && { id: post.reply_to, state: originalVisible ? "available" : "unavailable" },
    like_count: post.like_count,
    reply_count: post.reply_count,
    state: post.state,
    published_at: post.published_at,
    created_at: post.created_at,
    updated_at: post.updated_at,
  };
}

/** Until it is ready a photo has no address. */
function renderPhoto(photo: PhotoRow): Record<string, unknown> {
  const { id, key, alt, state, problem, side, variants, placeholder } = photo;
  const ready = state === "ready";
  return {
    id,
    url: ready ? photoUrl(key) : null,
    width: side,
    height: side,
    variants: ready ? variants.map((width) => ({ url: photoUrl(key, width), width })) : [],
    placeholder,
    alt,
    state,
    problem,
  };
}

/** Whose it is, and the history that its position is in. */
export interface NotificationReader {
  user: string;
  historyId: string;
}

/** A notification of a person; `cursor` marks everything up to it as read. */
export function renderNotification(
  notification: NotificationRow,
  { user, historyId }: NotificationReader,
): Record<string, unknown> {
  const { id, kind, at, position, unread, count, actors, page, post } = notification;
  return {
    id,
    kind,
    at,
    unread,
    count,
    actors: actors.map(renderCard),
    page: { id: page.id, uuid: page.uuid, name: page.name, avatar_url: photoUrl(page.avatar_key) },
    post,
    cursor: encodeCursor(listAbout("notifications.read", user), [historyId, String(position)]),
  };
}

/** The same in a frame, which also says how many are unread. */
export function renderLiveNotification(
  notification: LiveNotificationRow,
  bell: NotificationReader,
): Record<string, unknown> {
  return { ...renderNotification(notification, bell), unread_count: notification.unread_count };
}
