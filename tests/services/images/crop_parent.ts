/** A parent to be killed: it starts a crop, prints the id of the crop process and, at the end, the outcome. */
import { CropSupervisor } from "../../../services/images/crop/supervisor.ts";
import { sleep } from "../../../lib/sleep.ts";
import { QUIET } from "./gated_storage.ts";
import { CROP_ENTRY } from "../../../workers/children/start_crop.ts";

const child = new CropSupervisor({
  entry: CROP_ENTRY,
  engine: Deno.env.get("ENGINE") as "sharp" | "imagescript",
  storage: JSON.parse(Deno.env.get("SPEC")!),
  log: QUIET,
});
const outcome = child.run(JSON.parse(Deno.env.get("TASK")!), { timeoutMs: 20_000 });
await Promise.resolve();
say(child.pid);
await outcome;
say("done");
await sleep(60_000);

function say(value: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${value}\n`));
}
