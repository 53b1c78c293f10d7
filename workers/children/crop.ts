/**
 * A crop process. Standard input: a line with the engine and the storage, then a task as JSON per line. Standard
 * output: one line per task, in order. It ends when its standard input closes.
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

// Input is read while a task runs, so that the process ends at once when its parent closes the input.
let working = Promise.resolve();
for await (const line of input) {
  working = working.then(async () => answer(await cropTask(storage, engine, JSON.parse(line) as CropTask)));
}
Deno.exit(0);

function answer(value: unknown): void {
  printLine(JSON.stringify(value));
}
