/** Makes the entries of a folder durable: without it a file that was synced may have lost its name after a power cut. */
export async function syncFolder(path: string): Promise<void> {
  using folder = await Deno.open(path, { read: true });
  await folder.sync();
}
