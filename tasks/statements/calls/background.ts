/** Jobs, email deliveries, notifications, statistics, nodes, and receipts of requests. */
import * as deliveries from "../../../db/deliveries.ts";
import * as jobs from "../../../db/jobs.ts";
import * as nodes from "../../../db/nodes.ts";
import { stepNotifications } from "../../../db/notification_step.ts";
import * as days from "../../../db/page_days.ts";
import * as partitions from "../../../db/partitions.ts";
import * as receipts from "../../../db/receipts.ts";
import { recountStep } from "../../../db/recounts.ts";
import { publicKeys } from "../../../db/signing_keys.ts";
import { ping } from "../../../db/sql.ts";
import { StatsStore } from "../../../services/stats/store.ts";
import { AFTER, AT, type Call, CLAIM, EMAIL, ID } from "./call.ts";

const DELIVERY = { event: ID, user: ID };
const POSITION = { epoch: ID, seq: 1 };
const GRANT: partitions.Grant = { partition: 0, epoch: 1 };

export const BACKGROUND_CALLS: readonly Call[] = [
  (sql) => deliveries.expandPost(sql, CLAIM, 100, AT),
  (sql) => deliveries.beginPostEmail(sql, DELIVERY, false, AT),
  (sql) => deliveries.beginDigest(sql, DELIVERY, false, 20),
  (sql) => deliveries.beginEmail(sql, DELIVERY, false),
  (sql) => deliveries.recordDelivery(sql, DELIVERY, "failed"),
  (sql) => deliveries.finishDelivery(sql, DELIVERY, CLAIM, EMAIL),
  (sql) => deliveries.pruneDeliveries(sql, 1_000, 100),

  (sql) => jobs.claimDueJobs(sql, "kind", 100, 1_000),
  (sql) => jobs.claimJobs(sql, "kind", [ID], 1_000),
  (sql) => jobs.sweepJobs(sql, ["kind"]),
  (sql) => jobs.renewJob(sql, CLAIM, 1_000),
  (sql) => jobs.unnotifiedJobs(sql, "kind", 100, 1_000),
  (sql) => jobs.requeueJobs(sql, "kind", [ID]),
  (sql) => jobs.passJobOn(sql, CLAIM, "other", {}),
  (sql) => jobs.finishJob(sql, CLAIM),
  (sql) => jobs.returnJob(sql, CLAIM, "waiting", 1_000, "error"),
  (sql) => jobs.countJobs(sql),
  (sql) => jobs.listJobs(sql, { limit: 20 }),
  (sql) => jobs.listJobs(sql, { limit: 20, state: "dead", after: AFTER }),
  (sql) => jobs.retryJob(sql, ID),
  (sql) => jobs.jobState(sql, ID),
  (sql) => jobs.dropJob(sql, ID),

  (sql) => publicKeys(sql),
  (sql) => nodes.renewLease(sql, { id: ID, url: null, actors: true, leaseMs: 1_000, acknowledged: 1 }),
  (sql) => nodes.readDirectory(sql),
  (sql) => nodes.shortenLeases(sql, 1_000),
  (sql) => nodes.leave(sql, ID),
  (sql) => nodes.nextAcknowledgement(sql),
  (sql) => nodes.lastAcknowledgement(sql),
  (sql) => nodes.nodesToAcknowledge(sql, { id: ID, mark: 1, marginMs: 1_000 }),
  (sql) => nodes.deleteAllNodes(sql),
  (sql) => nodes.pruneNodes(sql),

  (sql) => partitions.takePartitions(sql, ID, [GRANT]),
  (sql) => partitions.releasePartitions(sql, ID, [GRANT]),

  (sql) => stepNotifications(sql, 100, AT),
  (sql) => recountStep(sql, CLAIM, 100),

  (sql) => days.foldEvents(sql, 100),
  (sql) => days.holdDays(sql),
  (sql) => days.releaseDays(sql),
  (sql) => days.daysAfter(sql, undefined, 100),
  (sql) => days.daysAfter(sql, { page_id: ID, day: "2026-01-01" }, 100),

  (sql) => receipts.claimReceipt(sql, { id: ID, scope: ID, key: "key", bodyMac: "mac", leaseS: 10 }),
  (sql) => receipts.receiptOf(sql, ID, "key"),
  (sql) => receipts.takeOverReceipt(sql, ID, 10),
  (sql) => receipts.renewReceipts(sql, [ID], 10),
  (sql) => receipts.endAllReceiptLeases(sql),
  (sql) => receipts.finishReceipt(sql, ID, { status: 200, location: null, body: null }),
  (sql) => receipts.deleteReceipt(sql, ID),
  (sql) => receipts.endReceiptLease(sql, ID),
  (sql) => receipts.pruneReceipts(sql),

  (sql) => new StatsStore(sql, true).position(),
  (sql) => new StatsStore(sql, true).applyLedger(POSITION, 100),
  (sql) => new StatsStore(sql, true).prepare(ID, []),
  (sql) => new StatsStore(sql, true).changes(ID, "2026-01-01", "2026-01-31"),

  (sql) => ping(sql),
];
