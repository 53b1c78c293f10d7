/**
 * Scripts and styles under a path with a hash of their content: `/assets/<version>/…`. The content of a path never
 * changes, so it is cached without revalidation, and a page always gets matching files.
 */
import { createHash } from "node:crypto";

const PREFIX = "/assets/";
const TYPES: Record<string, string> = { css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8" };
/** One year, the customary maximum. */
const KEEP = "public, max-age=31536000, immutable";

/** Files that belong together: they may refer to each other by relative paths. */
export class Assets {
  readonly version: string;
  #files: Map<string, Uint8Array<ArrayBuffer>>;

  constructor(files: Iterable<[name: string, content: Uint8Array<ArrayBuffer>]>) {
    this.#files = new Map(files);
    const hash = createHash("sha256");
    for (const [name, content] of [...this.#files].sort(([a], [b]) => a < b ? -1 : 1)) {
      hash.update(`${name.length} ${name} ${content.length} `).update(content);
    }
    this.version = hash.digest("base64url").slice(0, 16);
  }

  /** All scripts and styles in a folder, read once. */
  static of(folder: URL): Assets {
    return new Assets(filesIn(folder));
  }

  get names(): string[] {
    return [...this.#files.keys()];
  }

  /** Throws if there is no such file. */
  pathOf(name: string): string {
    if (!this.#files.has(name)) throw new Error(`There is no asset "${name}"`);
    return `${PREFIX}${this.version}/${name}`;
  }

  /** Replaces a page's links to files of the folder, `/name`, by links to this version. */
  linked(html: string): string {
    return html.replaceAll(
      / (href|src)="\/([^"]+)"/g,
      (link, attribute, name) => this.#files.has(name) ? ` ${attribute}="${this.pathOf(name)}"` : link,
    );
  }

  /** Undefined for paths of another version. */
  answer(path: string): Response | undefined {
    const prefix = `${PREFIX}${this.version}/`;
    const name = path.startsWith(prefix) ? path.slice(prefix.length) : "";
    const content = this.#files.get(name);
    if (!content) return undefined;
    return new Response(content, {
      headers: {
        "content-type": TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream",
        "cache-control": KEEP,
        // Otherwise the runtime sends 0 for HEAD.
        "content-length": String(content.length),
        "x-content-type-options": "nosniff",
      },
    });
  }
}

function* filesIn(folder: URL, at = ""): Generator<[string, Uint8Array<ArrayBuffer>]> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* filesIn(new URL(`${name}/`, folder), `${at}${name}/`);
    else if (/\.(css|js)$/.test(name)) yield [at + name, Deno.readFileSync(new URL(name, folder))];
  }
}

export const WEB_FOLDER = new URL("../web/", import.meta.url);
let own: Assets | undefined;

/** The assets of the site. */
export function ownFiles(): Assets {
  return own ??= Assets.of(WEB_FOLDER);
}
