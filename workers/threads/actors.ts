/** The thread that hosts actors: opens its own SQL connections, then processes batches of messages. */
import { setImmediate } from "node:timers";
import { feedActor } from "../../actors/feed.ts";
import { pageActor } from "../../actors/page.ts";
import { userActor } from "../../actors/user.ts";
import { Host } from "../../actors/runtime/host.ts";
import type { Committed } from "../../actors/runtime/mailbox.ts";
import type { FromWorker, Reply, ToWorker } from "../../actors/runtime/protocol.ts";
import { LoopLag } from "../../lib/metrics/loop_lag.ts";
import { threadSamples } from "../../lib/metrics/registry.ts";
import { ANSWER_MS, connectPostgres } from "../../db/postgres.ts";

/** What a worker needs to start: its SQL and the keys of its actors. */
export interface WorkerInit {
  databaseUrl: string;
  codeKey: Uint8Array;
  /** For tests (`db/postgres.ts`). */
  checkReads: boolean;
}

/** Connections per worker, because statements of different kinds run concurrently. */
const CONNECTIONS = 6;
const SWEEP_MS = 5_000;

const self = globalThis as unknown as {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
};

const loopLag = new LoopLag();

let outgoing: FromWorker[] = [];
function send(message: FromWorker): void {
  outgoing.push(message);
  if (outgoing.length === 1) setImmediate(flush);
}
function flush(): void {
  self.postMessage(outgoing);
  outgoing = [];
}

function begin({ databaseUrl, codeKey, checkReads }: WorkerInit): void {
  const sql = connectPostgres(databaseUrl, {
    max: CONNECTIONS,
    applicationName: "rookery-actors",
    byIndex: true,
    answerWithinMs: ANSWER_MS,
    checkReads,
  });
  const host = new Host({ user: userActor(codeKey), page: pageActor, feed: feedActor }, sql, {
    committed: (events) => send({ type: "committed", events }),
    outdated: (partition, epoch) => send({ type: "outdated", partition, epoch }),
    fault: (ref, error, origin) =>
      send({
        type: "fault",
        ref,
        error: error instanceof Error ? String(error.stack) : String(error),
        ...(origin === undefined ? {} : { origin }),
      }),
  });
  self.onmessage = ({ data }: MessageEvent<string>) => {
    for (const message of JSON.parse(data) as ToWorker[]) handle(host, message);
  };
  setInterval(() => host.sweep(), SWEEP_MS);
  send({ type: "ready" });
}

function handle(host: Host, message: ToWorker): void {
  switch (message.type) {
    case "ask":
      return host.ask(message.ref, {
        command: message.command,
        deadline: message.deadline,
        ...(message.receipt === undefined ? {} : { receipt: message.receipt }),
        origin: message.origin,
        arrived: Date.now(),
        answer: (reply, from) => send(replyMessage(message.call, reply, from)),
      });
    case "events":
      return host.absorb(message.events);
    case "grant":
      return host.grant(message.partition, message.epoch);
    case "revoke":
      return host.revoke(message.partition);
    case "inspect":
      return void threadSamples().then((samples) => {
        const stats = { ...host.stats(), samples, lagMs: loopLag.take() };
        send({ type: "stats", call: message.call, stats });
      });
  }
}

function replyMessage(call: number, reply: Reply, from: Committed | "memory" | undefined): FromWorker {
  if (from === "memory") return { type: "reply", call, reply, remembered: true };
  if (from === undefined) return { type: "reply", call, reply };
  const { seq, jobs } = from;
  return { type: "reply", call, reply, ...(seq === null ? {} : { seq }), ...(jobs.length > 0 ? { jobs } : {}) };
}

self.onmessage = ({ data }: MessageEvent<WorkerInit>) => begin(data);
