import type { Config } from "../../config.ts";
import { readMigrations } from "../../db/migrate.ts";
import { bytes } from "../../db/values.ts";
import { opensSigningKey } from "../../security/keys.ts";
import { Secret } from "../../security/secret.ts";
import { copyRows } from "./copy_text.ts";
import { FILE_LIST, type Manifest, readManifest, SECRET_FILE, tableFile } from "./manifest.ts";
import { checkFiles, type ListedFile, listedFiles } from "./photos.ts";
import { measure, readTable, type Stored } from "./stored_file.ts";
import type { Watcher } from "./write.ts";

/** A complete backup that this version can restore. */
export interface Checked {
  folder: string;
  manifest: Manifest;
  files: readonly ListedFile[];
  /** Decrypts what is encrypted in the backup. */
  secret: Secret;
  /** The backup's own key, if the installation is to use it. */
  key: Uint8Array | undefined;
}

/** Checks all of a backup without changing anything. Throws messages for the user. */
export async function checkBackup(config: Config, folder: string, watcher: Watcher): Promise<Checked> {
  const manifest = await readManifest(folder);
  await checkMigrations(manifest);
  const tables = Object.entries(manifest.tables);
  watcher.begin("Checking", tables.length + manifest.photos.count);
  for (const [table, stored] of tables) {
    await checkFile(folder, tableFile(table), stored);
    watcher.step();
  }
  await checkFile(folder, FILE_LIST, manifest.photos, false);
  const files = [...listedFiles(await Deno.readTextFile(`${folder}/${FILE_LIST}`))];
  await checkFiles(folder, files, () => watcher.step());
  if (manifest.secret.kept === "here") await checkFile(folder, SECRET_FILE, manifest.secret);
  watcher.end();
  return { folder, manifest, files, ...await checkSecret(config, folder, manifest) };
}

/** Throws unless these are the first migrations of this version, by number and name. */
async function checkMigrations({ migrations }: Manifest): Promise<void> {
  const known = await readMigrations();
  const foreign = migrations.find(({ number, name }, i) => known[i]?.number !== number || known[i]?.name !== name);
  if (!foreign) return;
  throw new Error(`The backup has migration "${foreign.name}", which this program does not know: it is older`);
}

async function checkFile(folder: string, path: string, expected: Stored, sized = true): Promise<void> {
  const { bytes, sha256 } = await measure(`${folder}/${path}`).catch((error) => {
    if ((error as { code?: string }).code === "ENOENT") throw new Error(`The backup lacks "${path}"`);
    throw error;
  });
  if (sha256 !== expected.sha256 || (sized && bytes !== expected.bytes)) throw new Error(`"${path}" is damaged`);
}

/** What decrypts the backup's signing keys: the settings, the backup's key, or the installation's. */
async function checkSecret(
  { SECRET_KEY, SECRET_KEY_PREVIOUS, DATA_DIR }: Config,
  folder: string,
  manifest: Manifest,
): Promise<Pick<Checked, "secret" | "key">> {
  const kept = manifest.secret.kept === "here";
  const key = kept && SECRET_KEY === undefined ? await Deno.readFile(`${folder}/${SECRET_FILE}`) : undefined;
  const text = SECRET_KEY ?? (key ? new TextDecoder().decode(key).trim() : await keyHere(DATA_DIR));
  const secret = new Secret(text, SECRET_KEY_PREVIOUS);
  const { columns } = manifest.tables.signing_keys ?? { columns: [] };
  for await (const { kid, sealed_private } of copyRows(readTable(`${folder}/${tableFile("signing_keys")}`), columns)) {
    if (!kid || !sealed_private || opensSigningKey(secret, { kid, sealed_private: bytes(sealed_private) })) continue;
    throw new Error(
      "SECRET_KEY does not decrypt the backup: set " +
        (kept
          ? `it to the content of "${folder}/${SECRET_FILE}", or SECRET_KEY_PREVIOUS`
          : "SECRET_KEY or SECRET_KEY_PREVIOUS to the key in use when it was made"),
    );
  }
  return { secret, key };
}

async function keyHere(dataDir: string): Promise<string> {
  try {
    return (await Deno.readTextFile(`${dataDir}/${SECRET_FILE}`)).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error("The backup is encrypted with the SECRET_KEY in use when it was made: set that");
  }
}
