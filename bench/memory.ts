import { Host } from "../actors/runtime/host.ts";
import type { KindName } from "../actors/runtime/protocol.ts";
import { feedActor } from "../actors/feed.ts";
import { pageActor } from "../actors/page.ts";
import { userActor } from "../actors/user.ts";
import { migrate } from "../db/migrate.ts";
import { connectPostgres } from "../db/postgres.ts";
import { startPostgres } from "../tests/support/servers.ts";
import type { Row } from "./harness.ts";
import { fillWorld } from "./world.ts";

const PEOPLE = 5_000;

/** (e) The heap of an idle, active actor: measured in this process before and after thousands are activated. */
export async function benchActorMemory(): Promise<Row[]> {
  await using postgres = await startPostgres({ fsync: false });
  await using sql = connectPostgres(await postgres.createDatabase(), { max: 8 });
  await migrate(sql);
  await fillWorld(sql, { people: PEOPLE, posts: 50_000, follows: 200, readers: 1_000 });
  const targets: Record<KindName, [count: number, target: string]> = {
    user: [PEOPLE, "≤ 8 KB"],
    page: [PEOPLE, "≤ 8 KB"],
    feed: [1_000, "–"],
  };
  const commands = {
    user: { type: "account" },
    page: { type: "expire_block" },
    feed: { type: "first_page", limit: 20, bypass: false },
  };
  const rows: Row[] = [];
  // Kept until the end, so that no host is collected during a measurement.
  const hosts: Host[] = [];
  for (const [kind, [count, target]] of Object.entries(targets) as [KindName, [number, string]][]) {
    const host = new Host({ user: userActor(new Uint8Array(32)), page: pageActor, feed: feedActor }, sql, {
      committed: () => {},
      outdated: () => {},
      fault: (_, error) => {
        throw error;
      },
    });
    hosts.push(host);
    const before = heap();
    for (let i = 1; i <= count; i += 50) {
      await Promise.all(
        Array.from({ length: Math.min(50, count - i + 1) }, (_, j) => activate(host, kind, i + j, commands[kind])),
      );
    }
    const each = (heap() - before) / count / 1024;
    if (hosts.at(-1)!.stats().activations[kind] !== count) throw new Error("not all actors were activated");
    const what = kind === "feed"
      ? "memory of an idle feed actor (200 pages, 40 posts kept)"
      : `memory of an idle ${kind} actor`;
    rows.push({ what, ours: `${each.toFixed(1)} KB`, reference: "–", ratio: "–", target });
  }
  return rows;
}

function activate(host: Host, kind: KindName, n: number, command: { type: string }): Promise<void> {
  const prefix = kind === "page" ? "00000002" : "00000001";
  const id = `${prefix}-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;
  return new Promise((resolve, reject) =>
    host.ask({ kind, id }, {
      command,
      deadline: Infinity,
      arrived: Date.now(),
      answer: (reply) => reply.ok ? resolve() : reject(new Error(JSON.stringify(reply))),
    })
  );
}

/** Needs `--v8-flags=--expose-gc`. */
function heap(): number {
  const { gc } = globalThis as unknown as { gc?: () => void };
  if (!gc) throw new Error("Run with --v8-flags=--expose-gc, as `deno task bench` does");
  for (let i = 0; i < 4; i++) gc();
  return Deno.memoryUsage().heapUsed;
}
