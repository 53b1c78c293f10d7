import { freePort, launch, type Server, TEST_LOCK } from "./servers.ts";

const ENTRY = new URL("s3_process.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/**
 * A server of the S3 protocol that holds every signature against its secret (`s3_process.ts`). Its `url` is as
 * `parseS3Url` reads it, with an empty bucket. It keeps everything in memory, so a restart is an empty server.
 */
export async function startS3(): Promise<Server> {
  const port = await freePort();
  const [accessKeyId, secretAccessKey] = [crypto.randomUUID(), crypto.randomUUID()];
  return await launch({
    url: `s3://${accessKeyId}:${secretAccessKey}@127.0.0.1:${port}/photos?tls=false`,
    home: await Deno.makeTempDir({ prefix: "rookery-s3-" }),
    command: [
      ...[Deno.execPath(), "run", "-A", "--no-check", TEST_LOCK, "--config", CONFIG],
      ...[ENTRY, String(port), accessKeyId, secretAccessKey],
    ],
    // Packages that are to be fetched first would take from the time it has to start.
    prepare: fetchPackages,
    isReady: () => fetch(`http://127.0.0.1:${port}`).then((response) => response.text()).then(() => true, () => false),
  });
}

async function fetchPackages(): Promise<void> {
  const args = ["cache", "--quiet", TEST_LOCK, "--config", CONFIG, ENTRY];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  if (!success) throw new Error(`The S3 server's packages could not be fetched: ${new TextDecoder().decode(stderr)}`);
}
