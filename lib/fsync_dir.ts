/**
 * Syncs a directory, so that its entries are durable: without it a synced file may lose its name in a power failure.
 */
export async function syncFolder(path: string): Promise<void> {
  using folder = await Deno.open(path, { read: true });
  await folder.sync();
}
