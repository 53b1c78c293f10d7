/** NATS and Redis for the cluster: addresses from the settings, or servers of this machine. */
import type { Config } from "../../config.ts";
import { KeptProcess } from "./kept_process.ts";

const RESTART_MS = 500;

/** A program is missing. The message says how to get it. */
export class ProgramMissing extends Error {
  override readonly name = "ProgramMissing";
}

const HOW: Record<string, string> = {
  "nats-server": "install it (apt install nats-server, brew install nats-server or https://nats.io/download), " +
    "or set NATS_URL",
  "redis-server": "install it (apt install redis-server, brew install redis or https://redis.io/downloads), " +
    "or set REDIS_URL",
};

/** The programs that the settings do not replace. Throws `ProgramMissing`. */
export function findPrograms({ NATS_URL, REDIS_URL }: Config): { nats?: string; redis?: string } {
  return {
    ...NATS_URL === undefined ? { nats: find("nats-server") } : {},
    ...REDIS_URL === undefined ? { redis: find("redis-server") } : {},
  };
}

function find(program: string): string {
  const paths = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "")
    .map((folder) => `${folder}/${program}`);
  const found = paths.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new ProgramMissing(`There is no ${program} in PATH: ${HOW[program]}`);
  return found;
}

/** The server's data is in `<folder>/nats`. */
export async function startNats(program: string, folder: string, port: number): Promise<KeptProcess> {
  const data = `${folder}/nats`;
  await Deno.mkdir(data, { recursive: true });
  return await KeptProcess.start({
    name: "NATS",
    command: [program, "--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", data],
    log: `${folder}/nats.log`,
    isReady: () => answers(port, "", "INFO"),
    restartMs: RESTART_MS,
  });
}

/** The server's data is in `<folder>/redis`. */
export async function startRedis(program: string, folder: string, port: number): Promise<KeptProcess> {
  const data = `${folder}/redis`;
  await Deno.mkdir(data, { recursive: true });
  const listen = ["--bind", "127.0.0.1", "--port", String(port)];
  return await KeptProcess.start({
    name: "Redis",
    command: [program, ...listen, "--dir", data, "--save", "", "--appendonly", "yes"],
    log: `${folder}/redis.log`,
    isReady: () => answers(port, "PING\r\n", "+PONG"),
    restartMs: RESTART_MS,
  });
}

/** Whether a server's answer begins with `expected`. */
async function answers(port: number, request: string, expected: string): Promise<boolean> {
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode(request));
    const buffer = new Uint8Array(64);
    const size = await connection.read(buffer) ?? 0;
    return new TextDecoder().decode(buffer.subarray(0, size)).startsWith(expected);
  } catch {
    return false;
  }
}
