import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";
import { Buffer } from "node:buffer";
import type { Sealing } from "../lib/bus/bus.ts";
import type { Secret } from "./secret.ts";

/** RFC 8439. To seal and open a message of 1 KB takes 7.5 µs of processor time, with AES-256-GCM 16 µs. */
const CIPHER = "chacha20-poly1305";
const SENDER_BYTES = 16;
const COUNT_BYTES = 8;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_AT = SENDER_BYTES + COUNT_BYTES;
const TEXT_AT = TAG_AT + TAG_BYTES;
/** Senders whose keys are kept: far more processes than an installation has. */
const MAX_SENDERS = 1_024;
const OPTIONS = { authTagLength: TAG_BYTES };
const ENCODER = new TextEncoder();

/**
 * Seals messages between the processes of an installation: sender, count, tag, ciphertext. Each process has a random id
 * and a key derived from it, and counts its messages, so that a nonce never occurs twice under a key.
 */
export class BusSealing implements Sealing {
  readonly #key: Uint8Array;
  readonly #sender = randomBytes(SENDER_BYTES);
  readonly #senderKey: Uint8Array;
  /** Of the next message: four zeros and its number. */
  readonly #nonce = new Uint8Array(NONCE_BYTES);
  readonly #count = new DataView(this.#nonce.buffer, NONCE_BYTES - COUNT_BYTES);
  #next = 0n;
  readonly #senders = new Map<string, Uint8Array>();

  constructor(secret: Pick<Secret, "subkey">) {
    this.#key = secret.subkey("bus");
    this.#senderKey = this.#keyOf(this.#sender);
  }

  seal(plain: Uint8Array, context: string): Uint8Array {
    this.#count.setBigUint64(0, this.#next++);
    const cipher = createCipheriv(CIPHER, this.#senderKey, this.#nonce, OPTIONS)
      .setAAD(ENCODER.encode(context), { plaintextLength: plain.length });
    const text = cipher.update(plain);
    cipher.final();
    const sealed = new Uint8Array(TEXT_AT + text.length);
    sealed.set(this.#sender);
    sealed.set(this.#nonce.subarray(NONCE_BYTES - COUNT_BYTES), SENDER_BYTES);
    sealed.set(cipher.getAuthTag(), TAG_AT);
    sealed.set(text, TEXT_AT);
    return sealed;
  }

  open(sealed: Uint8Array, context: string): Uint8Array | undefined {
    if (sealed.length < TEXT_AT) return undefined;
    const sender = Buffer.from(sealed.buffer, sealed.byteOffset, SENDER_BYTES);
    const name = sender.toString("latin1");
    const known = this.#senders.get(name);
    const key = known ?? this.#keyOf(sender);
    const nonce = new Uint8Array(NONCE_BYTES);
    nonce.set(sealed.subarray(SENDER_BYTES, TAG_AT), NONCE_BYTES - COUNT_BYTES);
    let plain: Uint8Array;
    try {
      const decipher = createDecipheriv(CIPHER, key, nonce, OPTIONS)
        .setAAD(ENCODER.encode(context), { plaintextLength: sealed.length - TEXT_AT })
        .setAuthTag(sealed.subarray(TAG_AT, TEXT_AT));
      plain = decipher.update(sealed.subarray(TEXT_AT));
      decipher.final();
    } catch {
      return undefined;
    }
    // Only now: strangers must not fill the memory.
    if (!known) this.#keep(name, key);
    return plain;
  }

  #keep(name: string, key: Uint8Array): void {
    this.#senders.set(name, key);
    if (this.#senders.size <= MAX_SENDERS) return;
    const oldest = this.#senders.keys().next();
    if (!oldest.done) this.#senders.delete(oldest.value);
  }

  #keyOf(sender: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#key).update(sender).digest();
  }
}
