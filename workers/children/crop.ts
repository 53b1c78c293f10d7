/**
 * A process that crops: reads tasks from its standard input, a line of JSON each, after a first line that says with which engine and
 * which storage; answers on its standard output, one line a task, in their order. Ends when its standard input does.
 */
import { type CropTask, cropTask } from "../../services/images/crop/task.ts";
import type { ImageEngine } from "../../services/images/engine.ts";
import { openEngine } from "../../services/images/open_engine.ts";
import { lines } from "../../lib/ndjson.ts";
import { openStorage, type StorageSpec } from "../../services/storage/open.ts";
import { leaveSignalsToParent } from "../../lib/signals.ts";
import { printLine } from "../../lib/write_text.ts";

leaveSignalsToParent();

const input = lines(Deno.stdin.readable);
const first = await input.next();
if (first.done) Deno.exit(0);
const { engine: name, storage: spec } = JSON.parse(first.value) as {
  engine: ImageEngine["name"];
  storage: StorageSpec;
};
const storage = openStorage(spec);
const engine = await openEngine(name);
answer({ ready: true });

// Read while a task is under way: the end of the input, which is the parent's, ends that too.
let working = Promise.resolve();
for await (const line of input) {
  working = working.then(async () => answer(await cropTask(storage, engine, JSON.parse(line) as CropTask)));
}
Deno.exit(0);

function answer(value: unknown): void {
  printLine(JSON.stringify(value));
}
