import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StorageSpec } from "../../storage/open.ts";
import { parseS3Url } from "../../storage/s3_options.ts";
import type { ImageEngine } from "../engine.ts";

/** The flags of a crop process: it may reach its storage and load the native code of its engine, and nothing else. */
export function cropPermissions(engine: ImageEngine["name"], storage: StorageSpec): string[] {
  return [`--allow-net=${hostOf(storage)}`, ...engine === "sharp" ? sharpPermissions() : imagescriptPermissions()];
}

/** What sharp reads when it loads: which libc is used (from `ldd`), two settings, and its library. */
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

/** The folder of a package in the cache, by its entry file, which is `depth` folders below `<name>/<version>`. */
function packageFolder(name: string, depth: number): string {
  let folder = dirname(fileURLToPath(import.meta.resolve(name)));
  for (let i = 0; i < depth + 1; i++) folder = dirname(folder);
  return folder;
}

/** A comma would start a second path. */
function listed(path: string): string {
  return path.replaceAll(",", ",,");
}

function hostOf(storage: StorageSpec): string {
  const { hostname, port, protocol } = new URL(storage.kind === "s3" ? parseS3Url(storage.url).endpoint : storage.url);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}
