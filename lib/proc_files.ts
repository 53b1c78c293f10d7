/**
 * Files of `/proc`, read through the C library: Deno reads them only with all permissions. Needs Linux and the
 * permission to call the C library; elsewhere nothing is read.
 */

const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];
const READ_ONLY = 0;
const PIECE_BYTES = 64 * 1024;
/** Offset of the name in `struct dirent`, on every 64-bit Linux. */
const NAME_AT = 19;
const ENCODER = new TextEncoder();

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // Runs in another thread.
  readLater: { name: "read", parameters: ["i32", "buffer", "usize"], result: "isize", nonblocking: true },
  close: { parameters: ["i32"], result: "i32" },
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "isize" },
  opendir: { parameters: ["buffer"], result: "pointer" },
  readdir: { parameters: ["pointer"], result: "pointer" },
  closedir: { parameters: ["pointer"], result: "i32" },
} as const;

/**
 * The C library with these functions; undefined if the platform or the permissions do not allow it. The caller closes
 * it.
 */
export function openLibrary<Symbols extends Deno.ForeignLibraryInterface>(
  symbols: Symbols,
): Deno.DynamicLibrary<Symbols> | undefined {
  if (Deno.build.os !== "linux") return undefined;
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  for (const name of LIBRARIES) {
    try {
      return Deno.dlopen(name, symbols);
    } catch {
      // The name on another system.
    }
  }
  return undefined;
}

export class ProcFiles implements Disposable {
  private constructor(private readonly library: Deno.DynamicLibrary<typeof SYMBOLS>) {}

  static open(): ProcFiles | undefined {
    const library = openLibrary(SYMBOLS);
    return library && new ProcFiles(library);
  }

  /** The text of a file; undefined if it does not exist or cannot be read. */
  read(path: string): string | undefined {
    const { open, read, close } = this.library.symbols;
    const file = open(cString(path), READ_ONLY);
    if (file < 0) return undefined;
    const decoder = new TextDecoder();
    const piece = new Uint8Array(PIECE_BYTES);
    let text = "";
    for (;;) {
      const size = Number(read(file, piece, BigInt(piece.length)));
      if (size <= 0) break;
      text += decoder.decode(piece.subarray(0, size), { stream: true });
    }
    close(file);
    return text;
  }

  /** The same for a long file, in another thread: a table of ten thousand connections takes 20 ms. */
  async readLong(path: string): Promise<string | undefined> {
    const { open, readLater, close } = this.library.symbols;
    const file = open(cString(path), READ_ONLY);
    if (file < 0) return undefined;
    const decoder = new TextDecoder();
    const piece = new Uint8Array(PIECE_BYTES);
    let text = "";
    for (;;) {
      const size = Number(await readLater(file, piece, BigInt(piece.length)));
      if (size <= 0) break;
      text += decoder.decode(piece.subarray(0, size), { stream: true });
    }
    close(file);
    return text;
  }

  /** The target of a link. */
  link(path: string): string | undefined {
    const target = new Uint8Array(4096);
    const size = Number(this.library.symbols.readlink(cString(path), target, BigInt(target.length)));
    return size < 0 ? undefined : new TextDecoder().decode(target.subarray(0, size));
  }

  /** The names in a folder. */
  names(path: string): string[] {
    const { opendir, readdir, closedir } = this.library.symbols;
    const folder = opendir(cString(path));
    if (folder === null) return [];
    const names: string[] = [];
    for (let entry = readdir(folder); entry !== null; entry = readdir(folder)) {
      const name = new Deno.UnsafePointerView(entry).getCString(NAME_AT);
      if (name !== "." && name !== "..") names.push(name);
    }
    closedir(folder);
    return names;
  }

  [Symbol.dispose](): void {
    this.library.close();
  }
}

/** One file of `/proc`, for rare reads. */
export function readProcFile(path: string): string | undefined {
  using files = ProcFiles.open();
  return files?.read(path);
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(`${text}\0`);
}
