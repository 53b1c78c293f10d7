/**
 * Runs all measurements against their references on a dedicated Postgres, and prints the table of `bench/README.md`.
 * Needs postgres with pgbench, wrk and, for kv, tarantool.
 */
import { readCommandLine } from "../lib/command_line.ts";
import { bench, type BenchName } from "../tasks/commands/bench.ts";
import { benchCluster } from "./cluster.ts";
import { benchEmbedded } from "./embedded.ts";
import { benchFanout } from "./fanout.ts";
import { benchFeedRead } from "./feed_read.ts";
import { type Row, say } from "./harness.ts";
import { benchHotLikes } from "./hot_likes.ts";
import { benchKv } from "./kv.ts";
import { benchActorMemory } from "./memory.ts";
import { benchPhotos } from "./photos.ts";
import { benchPostWrite } from "./post_write.ts";
import { benchSequencer } from "./sequencer.ts";
import { benchSearch } from "./search.ts";

const { names, seconds, posts, against } = readCommandLine(bench);
const BENCHES: Record<BenchName, () => Promise<Row[]>> = {
  feed: () => benchFeedRead({ posts, seconds }),
  post: () => benchPostWrite({ seconds }),
  likes: () => benchHotLikes({ seconds }),
  fanout: () => benchFanout([1_000, 5_000]),
  photos: () => benchPhotos({ seconds }),
  search: benchSearch,
  kv: () => benchKv({ seconds }),
  memory: benchActorMemory,
  cluster: () => benchCluster({ seconds }),
  sequencer: () => benchSequencer({ seconds }),
  embedded: () => benchEmbedded({ seconds, against }),
};

const rows: Row[] = [];
for (const [name, measure] of Object.entries(BENCHES)) {
  if (names.length > 0 && !names.includes(name as BenchName)) continue;
  say(`${name} …`);
  rows.push(...await measure());
}
say("\n| Measurement | Rookery | Reference | Ratio | Goal |\n|---|---|---|---|---|");
for (const { what, ours, reference, ratio, target } of rows) {
  say(`| ${what} | ${ours} | ${reference} | ${ratio} | ${target} |`);
}
Deno.exit(0);
