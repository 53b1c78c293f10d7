/**
 * Files of `/proc`, read through the C library: Deno itself reads them only for a process with every permission there is. On Linux with the
 * permission to call the C library; elsewhere there are none.
 */

const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];
const READ_ONLY = 0;
const PIECE_BYTES = 64 * 1024;
/** Where `struct dirent` has its name, on every Linux of 64 bits. */
const NAME_AT = 19;
const ENCODER = new TextEncoder();

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // In a thread of its own.
  readLater: { name: "read", parameters: ["i32", "buffer", "usize"], result: "isize", nonblocking: true },
  close: { parameters: ["i32"], result: "i32" },
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "isize" },
  opendir: { parameters: ["buffer"], result: "pointer" },
  readdir: { parameters: ["pointer"], result: "pointer" },
  closedir: { parameters: ["pointer"], result: "i32" },
} as const;

/** The C library with these functions; undefined where this machine or its permissions do not allow it. The caller closes it. */
export function openLibrary<Symbols extends Deno.ForeignLibraryInterface>(
  symbols: Symbols,
): Deno.DynamicLibrary<Symbols> | undefined {
  if (Deno.build.os !== "linux") return undefined;
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  for (const name of LIBRARIES) {
    try {
      return Deno.dlopen(name, symbols);
    } catch {
      // Another system's name.
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

  /** The text of a file; undefined where it is not there or not to be read. */
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

  /** The same of a long one, which takes other threads' time: a table of ten thousand connections takes 20 ms. */
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

  /** Where a link leads. */
  link(path: string): string | undefined {
    const target = new Uint8Array(4096);
    const size = Number(this.library.symbols.readlink(cString(path), target, BigInt(target.length)));
    return size < 0 ? undefined : new TextDecoder().decode(target.subarray(0, size));
  }

  /** What is in a folder. */
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

/** One file of `/proc`, for those who look seldom. */
export function readProcFile(path: string): string | undefined {
  using files = ProcFiles.open();
  return files?.read(path);
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(`${text}\0`);
}
