import { z } from "zod";
import type { AppContext } from "../context.ts";
import { decodeCursor, encodeCursor, ID, listAbout, wrongCursor } from "../contract/cursors.ts";
import {
  LETTER_TIMES,
  NOTIFICATION_KINDS,
  type NotificationKind,
  type NotificationSettings,
  notificationSettings,
  notificationsOf,
  unreadNotifications,
} from "../db/notifications.ts";
import { renderNotification } from "../contract/render.ts";
import { answer, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import * as schemas from "../contract/schemas.ts";
import { unsubscribe } from "./unsubscribe.ts";

const tags = ["Notifications"];
const POSITION = /^\d{1,15}$/;
const unread = z.int().meta({ description: "Number of unread notifications; 1000 means 1000 or more" });

const SettingsChange = z.strictObject({
  letters: z.enum(LETTER_TIMES).optional(),
  bell: z.strictObject(Object.fromEntries(NOTIFICATION_KINDS.map((kind) => [kind, z.boolean().optional()]))).optional(),
});

export function notificationRoutes(api: Api): void {
  notificationListRoutes(api);
  notificationSettingsRoutes(api);
  unsubscribeRoute(api);
}

function notificationListRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/notifications",
    access: "signed-in",
    summary: "Notifications, latest first",
    tags,
    query: z.strictObject(paging),
    answers: { 200: { description: "Notifications", schema: listOf(schemas.Notification).extend({ unread }) } },
  }, async ({ ctx, caller, query: { limit, cursor } }) => {
    const list = listAbout("notifications", caller.id);
    const before = cursor === undefined ? undefined : Number(decodeCursor(list, cursor, [POSITION])[0]);
    const rows = await notificationsOf(ctx.sql, caller.id, { limit: limit + 1, before });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return answer(200, {
      items: items.map((row) => renderNotification(row, { user: caller.id, historyId: ctx.stream.historyId })),
      next_cursor: rows.length > limit && last ? encodeCursor(list, [String(last.position)]) : null,
      unread: await unreadNotifications(ctx.sql, caller.id),
    });
  });

  endpoint(api, {
    method: "post",
    path: "/notifications/read",
    access: "signed-in",
    summary: "Mark notifications as read, up to a cursor or all",
    tags,
    body: z.union([
      z.strictObject({ up_to: z.string().min(1).max(512) }),
      z.strictObject({ all: z.literal(true) }),
    ]),
    answers: { 200: { description: "Number of unread notifications left", schema: z.object({ unread }) } },
  }, async ({ ctx, caller, body }) => {
    const up_to = "up_to" in body ? positionIn(ctx, caller.id, body.up_to) : null;
    await ctx.actors.ask("user", caller.id, "read_notifications", { up_to });
    return answer(200, { unread: await unreadNotifications(ctx.sql, caller.id) });
  });
}

function notificationSettingsRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/notifications/settings",
    access: "signed-in",
    summary: "Notification settings",
    tags,
    answers: { 200: { description: "The settings", schema: schemas.NotificationSettings } },
  }, async ({ ctx, caller }) => answer(200, shown(await notificationSettings(ctx.sql, caller.id))));

  endpoint(api, {
    method: "put",
    path: "/notifications/settings",
    access: "signed-in",
    summary: "Change notification settings; missing fields stay unchanged",
    tags,
    body: SettingsChange,
    answers: { 200: { description: "The settings", schema: schemas.NotificationSettings } },
  }, async ({ ctx, caller, body: { letters = null, bell = {} } }) => {
    const those = (enabled: boolean) => NOTIFICATION_KINDS.filter((kind) => bell[kind] === enabled);
    const change = { letters, mute: those(false), unmute: those(true) };
    return answer(200, shown(await ctx.actors.ask("user", caller.id, "change_notifications", change)));
  });
}

function unsubscribeRoute(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/notifications/unsubscribe",
    access: "anyone",
    summary: "Unsubscribe from emails about posts by the link in an email (RFC 8058); the body is ignored",
    tags,
    query: z.strictObject({ token: z.string().min(1).max(256) }),
    answers: { 200: { description: "Unsubscribed", schema: z.object({ letters: z.literal("never") }) } },
  }, async ({ query: { token }, address }) => {
    await unsubscribe(api, token, address);
    return answer(200, { letters: "never" });
  });
}

/** The position in a notification's cursor. */
function positionIn({ stream }: AppContext, user: string, cursor: string): number {
  const [history, position] = decodeCursor(listAbout("notifications.read", user), cursor, [ID, POSITION], "up_to");
  if (history !== stream.historyId) {
    throw wrongCursor("up_to", "The cursor belongs to an earlier history; list the notifications again");
  }
  return Number(position);
}

function shown({ letters, muted }: NotificationSettings): Record<string, unknown> {
  const isEnabled = (kind: NotificationKind) => !muted.includes(kind);
  return { letters, bell: Object.fromEntries(NOTIFICATION_KINDS.map((kind) => [kind, isEnabled(kind)])) };
}
