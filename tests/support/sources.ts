/** The project's own files, as tests about the code itself read them. */

export const ROOT = new URL("../../", import.meta.url);
/** Not part of the project: what a run leaves behind. */
const LEFT_OUT = new Set(["data", "backups", "node_modules"]);

/** Paths from the root of the project with one of these endings, sorted. */
export function projectFiles(...endings: string[]): string[] {
  return [...walk("", endings)].sort();
}

export function readSource(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

function* walk(folder: string, endings: string[]): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    const path = folder + name;
    if (isDirectory && !LEFT_OUT.has(path) && !(name.startsWith(".") && name !== ".ci")) {
      yield* walk(`${path}/`, endings);
    } else if (endings.some((ending) => name.endsWith(ending))) yield path;
  }
}
