/** The embedded database cannot be used in this environment. The message says what to do. Nothing was changed. */
export class EmbeddedRefused extends Error {
  override readonly name: string = "EmbeddedRefused";
}

/** The folder has an older major version of Postgres. */
export class OlderCluster extends EmbeddedRefused {
  override readonly name = "OlderCluster";
  constructor(readonly folder: string, readonly major: number, current: number) {
    super(
      `The database in "${folder}" has Postgres ${major}, and this version of Rookery needs ${current}; ` +
        `run "deno task upgrade"`,
    );
  }
}

/** Another process uses the data folder; two would corrupt each other's data. */
export class DatabaseLocked extends EmbeddedRefused {
  override readonly name = "DatabaseLocked";
  constructor(readonly dataDir: string, readonly pid: number | undefined) {
    super(
      `The database in "${dataDir}" is in use by process ${pid ?? "(unknown)"}; ` +
        `stop that one, or set DATA_DIR to another folder`,
    );
  }
}

/** The problem of a folder or a disk as a sentence; undefined for other errors. */
export function refusalOf(error: unknown, dataDir: string): EmbeddedRefused | undefined {
  if (error instanceof EmbeddedRefused) return error;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  if (code === "ENOSPC" || /no space left on device/i.test(message)) return diskFull(dataDir);
  if (error instanceof Deno.errors.PermissionDenied || code === "EACCES" || code === "EPERM") {
    return new EmbeddedRefused(
      `The folder "${dataDir}" is not writable for this user; ` +
        `start Rookery as its owner, or set DATA_DIR to another folder`,
    );
  }
  if (code === "EROFS" || /read-only file system/i.test(message)) {
    return new EmbeddedRefused(`The folder "${dataDir}" is on a read-only disk; set DATA_DIR to another folder`);
  }
  if (error instanceof Deno.errors.NotADirectory || error instanceof Deno.errors.AlreadyExists || code === "ENOTDIR") {
    return new EmbeddedRefused(`"${dataDir}" is not a folder; set DATA_DIR to a folder`);
  }
  const nameless = /could not look up effective user ID (\d+)/.exec(message)?.[1];
  if (nameless) {
    return new EmbeddedRefused(
      `User ${nameless} has no name, which Postgres needs to create a database; ` +
        `start Rookery as a user of /etc/passwd, or set DATABASE_URL`,
    );
  }
  return undefined;
}

export function diskFull(dataDir: string): EmbeddedRefused {
  return new EmbeddedRefused(
    `The disk of "${dataDir}" is full; free some space, or set DATA_DIR to a folder on another disk`,
  );
}
