/** Accounts, sessions, notifications and moderation. */
import * as bounces from "../../../db/bounces.ts";
import * as credentials from "../../../db/credentials.ts";
import * as letters from "../../../db/letters.ts";
import * as moderation from "../../../db/moderation.ts";
import * as log from "../../../db/moderation_log.ts";
import * as notifications from "../../../db/notifications.ts";
import * as reports from "../../../db/reports.ts";
import * as sessions from "../../../db/sessions.ts";
import * as tickets from "../../../db/tickets.ts";
import * as users from "../../../db/users.ts";
import * as tokens from "../../../db/vk_tokens.ts";
import { AFTER, AT, type Call, CLAIM, EMAIL, ID } from "./call.ts";

const ADMIN = { id: ID, role: "admin" } as const;

export const ACCOUNT_CALLS: readonly Call[] = [
  (sql) => bounces.countBounced(sql),
  (sql) => bounces.recordBounce(sql, EMAIL, "5.1.1", "no such mailbox"),
  (sql) => bounces.isBounced(sql, EMAIL),
  (sql) => bounces.bounceOf(sql, ID),
  (sql) => bounces.liftBounce(sql, ID, ADMIN),
  (sql) => bounces.relayRefuses(sql),
  (sql) => bounces.takeBackBounces(sql, "the relay is at fault"),
  (sql) => bounces.parkEmails(sql, [EMAIL], "the relay is at fault"),
  (sql) => bounces.finishBounced(sql, CLAIM, EMAIL),

  (sql) =>
    letters.storeEmail(sql, {
      message_id: "<id@example.org>",
      delivery: undefined,
      sender: EMAIL,
      recipient: EMAIL,
      subject: "",
      text: "",
      html: null,
    }),
  (sql) => letters.emailsOf(sql, { owner: ID, address: EMAIL, limit: 20 }),
  (sql) => letters.codeInForce(sql, { user: ID, purpose: "verify", address: EMAIL }, "nonce"),
  (sql) => letters.codeInForce(sql, { user: ID, purpose: "recover", address: EMAIL }, "nonce"),

  (sql) => moderation.reachOfUserBlock(sql, ID),
  (sql) => moderation.reachOfPageBlock(sql, ID),
  (sql) => log.listLog(sql, { limit: 20 }),
  (sql) => log.listLog(sql, { limit: 20, before: 100 }),
  (sql) => log.listLog(sql, { limit: 20, target: ID }),
  (sql) => log.listLog(sql, { limit: 20, actor: ID }),
  (sql) => log.listLog(sql, { limit: 20, act: "page.block", from: AT, to: AT }),
  (sql) => log.verifyChain(sql),

  (sql) => notifications.notificationsOf(sql, ID, { limit: 20 }),
  (sql) => notifications.notificationsOf(sql, ID, { limit: 20, before: 100 }),
  (sql) => notifications.unreadNotifications(sql, ID),
  (sql) => notifications.unreadOfAll(sql, [ID]),
  (sql) => notifications.liveNotifications(sql, [ID]),
  (sql) => notifications.notificationSettings(sql, ID),
  (sql) => notifications.pruneNotifications(sql, 1_000, 100),

  (sql) =>
    reports.makeReport(sql, {
      id: ID,
      reporter: ID,
      reason: "",
      target: { kind: "page", id: ID, name: "name", owner_id: ID },
    }),
  (sql) => reports.reportById(sql, ID),
  (sql) => reports.listReports(sql, { state: "open", limit: 20 }),
  (sql) => reports.listReports(sql, { state: "open", limit: 20, after: AFTER }),
  (sql) => reports.listReports(sql, { state: "closed", limit: 20 }),
  (sql) => reports.listReports(sql, { state: "closed", limit: 20, after: AFTER }),
  (sql) => reports.takeReport(sql, ID, ADMIN),
  (sql) => reports.releaseReport(sql, ID, ADMIN),
  (sql) => reports.closeReport(sql, ID, ADMIN, { outcome: "acted", note: null }),

  (sql) => sessions.endReason(sql, ID, ID),
  (sql) => sessions.hasSession(sql, ID),
  (sql) => sessions.pruneSessions(sql),
  (sql) => tickets.useTicketOnce(sql, "hash", new Date(AT)),
  (sql) => tickets.pruneTickets(sql),

  (sql) => users.loadUserActor(sql, ID),
  (sql) => users.accountSnapshots(sql, [ID]),
  (sql) => users.userById(sql, ID),
  (sql) => credentials.credentials(sql, "login"),
  (sql) => credentials.credentials(sql, EMAIL),
  (sql) => credentials.credentialsOf(sql, ID),
  (sql) => credentials.pendingByMark(sql, EMAIL, "mark"),
  (sql) => credentials.pendingWithoutMark(sql, EMAIL),
  (sql) => users.listUsers(sql, { limit: 20 }),
  (sql) => users.listUsers(sql, { limit: 20, after: AFTER }),
  (sql) => users.listUsers(sql, { limit: 20, role: "admin" }),
  (sql) => users.listUsers(sql, { limit: 20, q: "name" }),
  (sql) => users.accountsByLogin(sql, ["login"]),
  (sql) => users.cardByLogin(sql, "login"),

  (sql) => tokens.storeVkToken(sql, ID, { version: ID, kind: "user", sealed: new Uint8Array() }),
  (sql) => tokens.vkTokenInForce(sql, ID),
  (sql) => tokens.vkToken(sql, ID),
  (sql) => tokens.deleteVkToken(sql, ID),
  (sql) => tokens.dropVkToken(sql, ID, ID),
  (sql) => tokens.sealedVkTokens(sql, ID, 100),
  (sql) => tokens.resealVkToken(sql, ID, ID, new Uint8Array()),
];
