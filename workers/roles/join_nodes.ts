import type { AccountCache } from "../../actors/account_cache.ts";
import type { Sql } from "../../db/sql.ts";
import type { Bus } from "../../lib/bus/bus.ts";
import type { Log } from "../../lib/log.ts";
import type { Consumers } from "../../live/consumers.ts";
import { acknowledgementSubject, type DeliveryBarrier, SharedDeliveryBarrier } from "../../live/delivery_barrier.ts";
import type { EventStream } from "../../live/event_stream.ts";
import { Gateway } from "../../live/gateway.ts";
import { Membership } from "../../live/membership.ts";
import type { NodeActors } from "./actors.ts";

interface JoinParts {
  log: Log;
  sql: Sql;
  leaseSql: Sql;
  bus: Bus;
  stream: EventStream;
  consumers: Consumers;
  accounts: AccountCache;
  node: NodeActors;
  url: () => string | null;
  heartbeatMs: number | undefined;
  /** The node cannot continue. */
  onForeign: (reason: string) => void;
  stack: AsyncDisposableStack;
}

/** Opens the node's gateway and registers the node: it then shares the actors and is notified of every change. */
export async function joinNodes(
  { log, sql, leaseSql, bus, stream, consumers, accounts, node, url, heartbeatMs, onForeign, stack }: JoinParts,
): Promise<{ gateway: Gateway; deliveryBarrier: DeliveryBarrier; membership: Membership }> {
  const { id, lease, placement } = node;
  const gateway = stack.use(new Gateway(sql, stream, log, lease, heartbeatMs));
  // Synchronously after its creation, so that it misses no event.
  consumers.gateway = (events) => gateway.offer(events);
  consumers.accounts = (events) => {
    for (const { kind, user_id } of events) {
      if ((kind !== "account.changed" && kind !== "user.deleted") || !user_id) continue;
      accounts.changed(user_id);
      gateway.accounts.changed(user_id);
    }
  };
  const membership = stack.use(
    await Membership.join({
      id,
      url,
      actors: node.takes,
      sql: leaseSql,
      stream,
      gateway,
      lease,
      log,
      onLapse: () => placement.lapsed(),
      onForeign,
      onDirectory: (directory) => placement.update(directory),
    }),
  );
  const history = stream.historyId;
  await bus.subscribe(acknowledgementSubject(history), () => void membership.acknowledgeLatest());
  return { gateway, deliveryBarrier: new SharedDeliveryBarrier({ sql, bus, history, membership }), membership };
}
