import { z } from "zod";

/** Another one cannot be read by this program, nor what it writes by an older one. */
export const FORMAT = 1;
export const MANIFEST = "manifest.json";
/** The embedded installation's secret, where no setting holds it. */
export const SECRET_FILE = "secret.key";
/** Each photo's file with its SHA-256, as `sha256sum --check` reads it. */
export const FILE_LIST = "files.sha256";

/** Tables that are not in a backup, and why, in the manifest's own words. */
export const LEFT_OUT = {
  migrations: "in the manifest",
  nodes: "who runs at the moment",
  used_tickets: "they live for half a minute",
  page_search: "built anew",
  user_search: "built anew",
  popular_pages: "built anew",
  spellings: "built anew",
} as const;

// Names go into SQL and into paths.
const name = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/);
const count = z.number().int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const stored = { bytes: count, sha256 };

const manifest = z.strictObject({
  format: z.literal(FORMAT),
  made_at: z.iso.datetime(),
  /** Which history, and how far it goes. */
  history: z.strictObject({ epoch: z.uuid(), seq: count }),
  migrations: z.array(z.strictObject({ number: count, name: z.string() })).min(1),
  /** The file of each is `tables/<name>.copy.gz`; `bytes` and `sha256` are those of the file as it lies there. */
  tables: z.record(name, z.strictObject({ columns: z.array(name).min(1), rows: count, ...stored })),
  sequences: z.record(name, z.strictObject({ value: count, is_called: z.boolean() })),
  /** `bytes` of all of them; `sha256` of the list. `gone`: named by the tables, and not there any more when they were copied. */
  photos: z.strictObject({ count, gone: count, ...stored }),
  secret: z.discriminatedUnion("kept", [
    z.strictObject({ kept: z.literal("here"), ...stored }),
    z.strictObject({ kept: z.literal("SECRET_KEY") }),
  ]),
  left_out: z.record(z.string(), z.string()),
});

export type Manifest = z.output<typeof manifest>;
export type StoredTable = Manifest["tables"][string];

/** Throws what to tell the person who gave the folder. */
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
    throw new Error(`The backup has format ${format}, which a newer version made; this one reads ${FORMAT}`);
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
