/**
 * `deno task bench [feed|post|likes|fanout|photos|search|kv|memory …] [--seconds 10] [--posts 1000000]`: measures against the named references,
 * in one run, on a real Postgres of its own, and prints the table of `bench/README.md`. Needs postgres with pgbench, wrk and, for kv, tarantool.
 */
import { benchFanout } from "./fanout.ts";
import { benchFeedRead } from "./feed_read.ts";
import { type Row, say } from "./harness.ts";
import { benchHotLikes } from "./hot_likes.ts";
import { benchKv } from "./kv.ts";
import { benchActorMemory } from "./memory.ts";
import { benchPhotos } from "./photos.ts";
import { benchPostWrite } from "./post_write.ts";
import { benchSearch } from "./search.ts";

const seconds = numberAfter("--seconds", 10);
const posts = numberAfter("--posts", 1_000_000);
const BENCHES: Record<string, () => Promise<Row[]>> = {
  feed: () => benchFeedRead({ posts, seconds }),
  post: () => benchPostWrite({ seconds }),
  likes: () => benchHotLikes({ seconds }),
  fanout: () => benchFanout([1_000, 5_000]),
  photos: () => benchPhotos({ seconds }),
  search: benchSearch,
  kv: () => benchKv({ seconds }),
  memory: benchActorMemory,
};

const asked = Deno.args.filter((word) => word in BENCHES);
const rows: Row[] = [];
for (const [name, bench] of Object.entries(BENCHES)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  say(`${name} …`);
  rows.push(...await bench());
}
say("\n| what | Rookery | reference | ratio | to reach |\n|---|---|---|---|---|");
for (const { what, ours, reference, ratio, target } of rows) {
  say(`| ${what} | ${ours} | ${reference} | ${ratio} | ${target} |`);
}
Deno.exit(0);

function numberAfter(option: string, fallback: number): number {
  const at = Deno.args.indexOf(option);
  const value = at < 0 ? fallback : Number(Deno.args[at + 1]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} wants a whole number above 0`);
  return value;
}
