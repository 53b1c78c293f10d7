import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StorageSpec } from "../storage/open.ts";
import { parseS3Url } from "../storage/s3_options.ts";
import type { ImageEngine } from "./engine.ts";

/** The flags of a process that crops: it may reach its storage and load its engine's native code; no more. */
export function cropPermissions(engine: ImageEngine["name"], storage: StorageSpec): string[] {
  return [`--allow-net=${hostOf(storage)}`, ...engine === "sharp" ? sharpPermissions() : imagescriptPermissions()];
}

/** What sharp asks for when it loads: which libc this is (`ldd` says so), two settings, its library. */
function sharpPermissions(): string[] {
  const registry = dirname(packageFolder("sharp", 1));
  return [
    "--allow-read=/usr/bin/ldd",
    "--allow-env=npm_package_config_libvips,MALLOC_ARENA_MAX",
    `--allow-ffi=${listed(join(registry, "@img"))}`,
  ];
}

/** ImageScript reads its decoders from its own folder. */
function imagescriptPermissions(): string[] {
  const folder = listed(packageFolder("imagescript", 0));
  return [`--allow-read=${folder}`, "--allow-env=IMAGESCRIPT_WASM_SIMD", `--allow-ffi=${folder}`];
}

/** Where a package lies in the cache, by its entry file, which is `depth` folders below `<name>/<version>`. */
function packageFolder(name: string, depth: number): string {
  let folder = dirname(fileURLToPath(import.meta.resolve(name)));
  for (let i = 0; i < depth + 1; i++) folder = dirname(folder);
  return folder;
}

/** A comma would begin a second path. */
function listed(path: string): string {
  return path.replaceAll(",", ",,");
}

function hostOf(storage: StorageSpec): string {
  const { hostname, port, protocol } = new URL(storage.kind === "s3" ? parseS3Url(storage.url).endpoint : storage.url);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}
