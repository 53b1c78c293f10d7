/**
 * Measures against the named references, in one run, on a real Postgres of its own, and prints the table of `bench/README.md`. Needs
 * postgres with pgbench, wrk and, for kv, tarantool.
 */
import { parseArgs } from "node:util";
import { offerHelp } from "../lib/command_line.ts";
import { benchEmbedded } from "./embedded.ts";
import { benchFanout } from "./fanout.ts";
import { benchFeedRead } from "./feed_read.ts";
import { type Row, say } from "./harness.ts";
import { benchHotLikes } from "./hot_likes.ts";
import { benchKv } from "./kv.ts";
import { benchActorMemory } from "./memory.ts";
import { benchPhotos } from "./photos.ts";
import { benchPostWrite } from "./post_write.ts";
import { benchSearch } from "./search.ts";

const USAGE = `usage: deno task bench [feed|post|likes|fanout|photos|search|kv|memory|embedded …]
         [--seconds 10] [--posts 1000000] [--against folder]

Without a name all of them run. --seconds is the time of one measurement, --posts the size of the table that "feed" reads,
--against the folder of another checkout, which "embedded" measures by turns with this one.`;

offerHelp(USAGE);
const { names, seconds, posts, against } = readArguments();
const BENCHES: Record<string, () => Promise<Row[]>> = {
  feed: () => benchFeedRead({ posts, seconds }),
  post: () => benchPostWrite({ seconds }),
  likes: () => benchHotLikes({ seconds }),
  fanout: () => benchFanout([1_000, 5_000]),
  photos: () => benchPhotos({ seconds }),
  search: benchSearch,
  kv: () => benchKv({ seconds }),
  memory: benchActorMemory,
  embedded: () => benchEmbedded({ seconds, against }),
};

const unknown = names.find((name) => !Object.hasOwn(BENCHES, name));
if (unknown !== undefined) refuse(`There is no bench "${unknown}"`);
const rows: Row[] = [];
for (const [name, bench] of Object.entries(BENCHES)) {
  if (names.length > 0 && !names.includes(name)) continue;
  say(`${name} …`);
  rows.push(...await bench());
}
say("\n| what | Rookery | reference | ratio | to reach |\n|---|---|---|---|---|");
for (const { what, ours, reference, ratio, target } of rows) {
  say(`| ${what} | ${ours} | ${reference} | ${ratio} | ${target} |`);
}
Deno.exit(0);

function readArguments(): { names: string[]; seconds: number; posts: number; against: string | undefined } {
  try {
    const { values, positionals } = parseArgs({
      args: Deno.args,
      allowPositionals: true,
      options: {
        seconds: { type: "string", default: "10" },
        posts: { type: "string", default: "1000000" },
        against: { type: "string" },
      },
    });
    return {
      names: positionals,
      seconds: wholeNumber("seconds", values.seconds),
      posts: wholeNumber("posts", values.posts),
      against: values.against,
    };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  return refuse(`--${name}: expected a whole number above 0, got "${text}"`);
}

function refuse(message: string): never {
  say(`${message}\n${USAGE}`);
  Deno.exit(2);
}
