import assert from "node:assert/strict";
import type { Bus } from "../../lib/bus/bus.ts";
import { LocalBus } from "../../lib/bus/local.ts";
import { NatsBus } from "../../lib/bus/nats.ts";
import type { JobRef } from "../../db/jobs.ts";
import { Log } from "../../lib/log.ts";
import { JobNotifier } from "../../jobs/notifier.ts";
import { freePort } from "../support/servers.ts";
import { until } from "../support/wait.ts";

const log = new Log("error");
const job = (id: string): JobRef => ({ kind: "kind", id });

const BUSES: [name: string, open: (() => Bus) | undefined][] = [
  ["LocalBus", () => new LocalBus({ log })],
  ["NatsBus", natsBus(Deno.env.get("TEST_NATS_URL"))],
];

function natsBus(url: string | undefined): (() => Bus) | undefined {
  return url === undefined ? undefined : () => new NatsBus(url, { log });
}

for (const [name, open] of BUSES) {
  Deno.test({
    name: `JobNotifier over ${name} sends ids to one process of each group of its installation`,
    ignore: !open,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using bus = open!();
      await until("the bus is connected", () => bus.connected);
      const history = crypto.randomUUID();
      // Two processes of one group, one of another, and another installation on the same bus.
      const received: Record<string, string[]> = { first: [], second: [], other: [], foreign: [] };
      await using stack = new AsyncDisposableStack();
      const notifier = (of = history) => stack.use(new JobNotifier(bus, of, log));
      const listen = (to: string) => (jobs: JobRef[]) => void received[to]!.push(...jobs.map(({ id }) => id));
      await notifier().subscribe("group", listen("first"));
      await notifier().subscribe("group", listen("second"));
      await notifier().subscribe("other", listen("other"));
      await notifier(crypto.randomUUID()).subscribe("group", listen("foreign"));
      const sender = notifier();
      // A consumer receives messages from its registration on.
      await until("all subscriptions exist", () => {
        sender.notify([job("probe")]);
        return received["first"]!.length + received["second"]!.length > 0 && received["other"]!.length > 0;
      }, { everyMs: 50 });
      const without = (ids: string[]) => ids.filter((id) => id !== "probe");
      const ids = Array.from({ length: 40 }, (_, i) => `job ${i}`);
      for (const id of ids.slice(0, 30)) sender.notify([job(id)]);
      sender.notify(ids.slice(30).map(job));
      // The same id again, as in a retry: not dropped as a duplicate.
      sender.notify([job("job 0")]);
      const group = () => without([...received["first"]!, ...received["second"]!]);
      const other = () => without(received["other"]!);
      await until("all ids", () => group().length >= 41 && other().length >= 41);
      assert.deepEqual(group().sort(), [...ids, "job 0"].sort());
      assert.deepEqual(other().sort(), [...ids, "job 0"].sort());
      assert.deepEqual(received["foreign"], []);
    },
  });
}

Deno.test({
  name: "JobNotifier ignores malformed messages, and receives the next one",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using bus = new LocalBus({ log, retryMs: 10 });
    const history = crypto.randomUUID();
    await using notifier = new JobNotifier(bus, history, log);
    const received: string[] = [];
    await notifier.subscribe("group", (jobs) => void received.push(...jobs.map(({ id }) => id)));
    const messageOf = (jobs: unknown) => JSON.stringify({ history, at: Date.now(), jobs });
    const malformed = [
      "{",
      "null",
      "5",
      "{}",
      messageOf(null),
      messageOf("job"),
      messageOf([null]),
      messageOf([{ kind: 1, id: "2" }]),
    ];
    for (const [i, message] of malformed.entries()) await bus.append("jobs", `${i}`, message);
    notifier.notify([job("job")]);
    await until("the job", () => received.length > 0);
    assert.deepEqual(received, ["job"]);
  },
});

Deno.test({
  name: "JobNotifier offers jobs to its own process while the bus is unavailable",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using bus = new NatsBus(`nats://127.0.0.1:${await freePort()}`, { log });
    await using notifier = new JobNotifier(bus, crypto.randomUUID(), log);
    const received: JobRef[] = [];
    await notifier.subscribe("group", (jobs) => void received.push(...jobs));
    notifier.notify([job("one")]);
    await until("the message", () => received.length === 1);
  },
});
