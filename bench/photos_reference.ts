/**
 * The reference of the photos: `photos_reference.ts <file> <concurrency> <seconds>` only calls sharp; prints photos per
 * second.
 */
import process from "node:process";
import { probe } from "../services/images/probe.ts";
import { sharpEngine } from "../services/images/sharp_engine.ts";

const [file, concurrency, seconds] = process.argv.slice(2);
const bytes = await Deno.readFile(file!);
const judged = probe(bytes);
await Promise.all(Array.from({ length: Number(concurrency) }, () => sharpEngine.crop(bytes, judged)));
let done = 0;
const start = performance.now();
await Promise.all(Array.from({ length: Number(concurrency) }, async () => {
  while (performance.now() - start < Number(seconds) * 1_000) {
    await sharpEngine.crop(bytes, judged);
    done++;
  }
}));
process.stdout.write(`${done / ((performance.now() - start) / 1_000)}\n`);
process.exit(0);
