/** What all files of a batch share: it ends with the batch; with the file, where that runs by itself. */
const isBatch = Deno.env.has("TEST_FILES");
const disposals: (() => Promise<void>)[] = [];

/** Called while a file is loaded or its tests run. */
export function whenBatchEnds(dispose: () => Promise<void>): void {
  disposals.push(dispose);
}

/** Whether a batch says when it has ended; else each file has to, by `afterAll(endOfBatch)`. */
export function isInBatch(): boolean {
  return isBatch;
}

export async function endOfBatch(): Promise<void> {
  for (const dispose of disposals.splice(0).reverse()) await dispose();
}
