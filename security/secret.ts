import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { concatBytes } from "../lib/bytes.ts";

/** The file with the secret of the embedded installation. */
const FILE = "secret.key";

/**
 * The secret of an installation. It encrypts the keys in Postgres, and subkeys are derived from it, each for one
 * purpose. It never leaves this object.
 */
export class Secret {
  readonly #key: Uint8Array;
  readonly #previous: Secret | undefined;
  #subkeys = new Map<string, Uint8Array>();

  /** Data encrypted with `previous` can be decrypted. Nothing new is encrypted or derived with it. */
  constructor(secret: string, previous?: string) {
    this.#key = new TextEncoder().encode(secret);
    this.#previous = previous === undefined ? undefined : new Secret(previous);
  }

  /** From the setting or, when embedded, from `DATA_DIR`, where the first start creates it. */
  static async load(setting: string | undefined, dataDir: string, previous?: string): Promise<Secret> {
    if (setting !== undefined) return new Secret(setting, previous);
    const path = `${dataDir}/${FILE}`;
    try {
      const kept = (await Deno.readTextFile(path)).trim();
      // An empty file, left by a power failure, would be a key that everybody knows.
      if (kept.length < 32) throw new Error(`"${path}" is damaged: restore it, or remove it to start with new keys`);
      return new Secret(kept, previous);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    const made = randomBytes(32).toString("base64url");
    const temporary = `${path}.${crypto.randomUUID()}`;
    {
      using file = await Deno.open(temporary, { createNew: true, write: true, mode: 0o600 });
      await file.write(new TextEncoder().encode(made + "\n"));
      await file.sync();
    }
    await Deno.rename(temporary, path);
    return new Secret(made, previous);
  }

  /** 32 bytes for one purpose (HKDF-SHA-256, RFC 5869). */
  subkey(purpose: string): Uint8Array {
    let key = this.#subkeys.get(purpose);
    if (!key) {
      key = new Uint8Array(hkdfSync("sha256", this.#key, new Uint8Array(0), `rookery/${purpose}`, 32));
      this.#subkeys.set(purpose, key);
    }
    return key;
  }

  /** A keyed hash, in base64url. */
  mac(purpose: string, data: string | Uint8Array): string {
    return createHmac("sha256", this.subkey(purpose)).update(data).digest("base64url");
  }

  /** Whether it is the keyed hash, with the current or the previous secret; compared in constant time. */
  macMatches(purpose: string, data: string, given: string): boolean {
    const right = new TextEncoder().encode(this.mac(purpose, data));
    const other = new TextEncoder().encode(given);
    if (right.length === other.length && timingSafeEqual(right, other)) return true;
    return this.#previous?.macMatches(purpose, data, given) ?? false;
  }

  /** AES-256-GCM: nonce, tag, ciphertext. Decryption needs the same `context`. */
  seal(purpose: string, plain: Uint8Array, context: string): Uint8Array {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.subkey(purpose), nonce).setAAD(new TextEncoder().encode(context));
    const sealed = [cipher.update(plain), cipher.final()];
    return concatBytes([nonce, cipher.getAuthTag(), ...sealed]);
  }

  /** Throws if the key or the context is another, or the data was changed. */
  open(purpose: string, sealed: Uint8Array, context: string): Uint8Array {
    try {
      return this.#open(purpose, sealed, context);
    } catch (error) {
      if (this.#previous) return this.#previous.open(purpose, sealed, context);
      throw error;
    }
  }

  /** The same data encrypted with the current secret; undefined if it is already. Throws like `open`. */
  reseal(purpose: string, sealed: Uint8Array, context: string): Uint8Array | undefined {
    try {
      this.#open(purpose, sealed, context);
      return undefined;
    } catch {
      return this.seal(purpose, this.open(purpose, sealed, context), context);
    }
  }

  #open(purpose: string, sealed: Uint8Array, context: string): Uint8Array {
    const decipher = createDecipheriv("aes-256-gcm", this.subkey(purpose), sealed.subarray(0, 12))
      .setAAD(new TextEncoder().encode(context));
    decipher.setAuthTag(sealed.subarray(12, 28));
    return concatBytes([decipher.update(sealed.subarray(28)), decipher.final()]);
  }
}
