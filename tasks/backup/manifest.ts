import { z } from "zod";

/** The format's version. This program reads no other, and older programs cannot read this one. */
export const FORMAT = 1;
export const MANIFEST = "manifest.json";
/** The embedded installation's secret, if no setting has it. */
export const SECRET_FILE = "secret.key";
/** The SHA-256 of each photo file, in the format of `sha256sum --check`. */
export const FILE_LIST = "files.sha256";

/** Tables left out of a backup, with the reason as it stands in the manifest. */
export const LEFT_OUT = {
  migrations: "in the manifest",
  nodes: "currently running nodes",
  used_tickets: "valid for half a minute",
  page_search: "rebuilt",
  user_search: "rebuilt",
  popular_pages: "rebuilt",
  spellings: "rebuilt",
} as const;

// Names are used in SQL and in paths.
const name = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/);
const count = z.number().int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const stored = { bytes: count, sha256 };

const manifest = z.strictObject({
  format: z.literal(FORMAT),
  made_at: z.iso.datetime(),
  /** The history's id and its last event. */
  history: z.strictObject({ epoch: z.uuid(), seq: count }),
  migrations: z.array(z.strictObject({ number: count, name: z.string() })).min(1),
  /** Each table's file is `tables/<name>.copy.gz`. `bytes` and `sha256` describe the compressed file. */
  tables: z.record(name, z.strictObject({ columns: z.array(name).min(1), rows: count, ...stored })),
  sequences: z.record(name, z.strictObject({ value: count, is_called: z.boolean() })),
  /** `bytes` of all files, `sha256` of the list. `gone`: named by the tables but deleted before they were copied. */
  photos: z.strictObject({ count, gone: count, ...stored }),
  secret: z.discriminatedUnion("kept", [
    z.strictObject({ kept: z.literal("here"), ...stored }),
    z.strictObject({ kept: z.literal("SECRET_KEY") }),
  ]),
  left_out: z.record(z.string(), z.string()),
});

export type Manifest = z.output<typeof manifest>;
export type StoredTable = Manifest["tables"][string];

/** Throws messages for the user. */
export async function readManifest(folder: string): Promise<Manifest> {
  let text: string;
  try {
    text = await Deno.readTextFile(`${folder}/${MANIFEST}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !(error instanceof Deno.errors.NotADirectory)) throw error;
    throw new Error(`There is no backup in "${folder}": it has no ${MANIFEST}`);
  }
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw new Error(`"${folder}/${MANIFEST}" is damaged`);
  }
  const format = (read as { format?: unknown } | null)?.format;
  if (typeof format === "number" && format > FORMAT) {
    throw new Error(`The backup has format ${format}, from a newer version; this version reads ${FORMAT}`);
  }
  const parsed = manifest.safeParse(read);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.map(String).join(".")}: ${message}`);
    throw new Error(`"${folder}/${MANIFEST}" is damaged: ${problems[0]}`);
  }
  return parsed.data;
}

export function tableFile(table: string): string {
  return `tables/${table}.copy.gz`;
}
