/** The address of the embedded database of a data folder, for tasks and tests: a file that only its owner may read. */
import { resolve } from "node:path";

/** The role and the database of every embedded installation. */
const ROLE = "rookery";
const DATABASE = "postgres";
/** Part of the name of the socket's file. */
const PORT = 5432;
/** `sun_path` holds 108 bytes on Linux, 104 on macOS. */
const MAX_SOCKET_PATH_BYTES = 100;

export function socketAddress(folder: string): string {
  return `postgres://${ROLE}@localhost:${PORT}/${DATABASE}?host=${encodeURIComponent(resolve(folder))}`;
}

/** Where Unix sockets are not available: on the loopback interface, with a password. */
export function loopbackAddress(port: number, password: string): string {
  return `postgres://${ROLE}:${encodeURIComponent(password)}@127.0.0.1:${port}/${DATABASE}`;
}

export function fitsSocket(folder: string): boolean {
  return new TextEncoder().encode(socketFile(resolve(folder))).length <= MAX_SOCKET_PATH_BYTES;
}

/** The path of the socket in an address; undefined if it has a host. */
export function socketOf(url: string): string | undefined {
  const folder = new URL(url).searchParams.get("host");
  return folder?.startsWith("/") ? socketFile(folder) : undefined;
}

/** What Deno must allow a child to reach the databases: flags, and entries of its `--allow-net`. */
export function permissionsFor(urls: readonly string[]): { net: string[]; files: string[] } {
  const sockets = urls.map(socketOf).filter((path) => path !== undefined);
  return {
    net: [
      ...urls.filter((url) => socketOf(url) === undefined).map((url) => new URL(url).hostname),
      ...sockets.map((path) => `unix:${path}`),
    ],
    files: sockets,
  };
}

/** Written at each start, before clients may connect. */
export async function writeAddress(dataDir: string, url: string): Promise<void> {
  const draft = `${addressFile(dataDir)}.new`;
  await Deno.writeTextFile(draft, url, { mode: 0o600 });
  await Deno.rename(draft, addressFile(dataDir));
}

/** The address of the running server, or of the last one. Rejects with `NotFound` if there was none. */
export function readAddress(dataDir: string): Promise<string> {
  return Deno.readTextFile(addressFile(dataDir));
}

function addressFile(dataDir: string): string {
  return `${dataDir}/postgres.url`;
}

/** The path of the socket in a folder. */
export function socketFile(folder: string): string {
  return `${folder}/.s.PGSQL.${PORT}`;
}
