import type { JobRef } from "../../db/jobs.ts";
import type { Command, Reply } from "./protocol.ts";

/** A message with its way back. */
export interface Mail {
  command: Command;
  /** Unix milliseconds; past it the message is not begun any more. */
  deadline: number;
  receipt?: string;
  arrived: number;
  answer(reply: Reply, committed?: { seq: number | null; jobs: readonly JobRef[] }): void;
}

/** How many messages may wait for one actor (`docs/limits.md`). */
export const MAX_MAILBOX = 1_000;
/** How many messages of a hot actor may share a turn. */
export const MAX_BATCH = 256;

/** First in, first out, bounded; cheap at both ends. */
export class Mailbox {
  #mails: Mail[] = [];
  #head = 0;

  get size(): number {
    return this.#mails.length - this.#head;
  }

  /** False when full; then nothing has happened. */
  offer(mail: Mail): boolean {
    if (this.size >= MAX_MAILBOX) return false;
    this.#mails.push(mail);
    return true;
  }

  /** The next turn's messages: one, or as many of one type as have keys that differ. */
  take(batchKey: (command: Command) => string | undefined): Mail[] {
    const first = this.#shift();
    if (!first) return [];
    const turn = [first];
    const key = batchKey(first.command);
    if (key === undefined) return turn;
    const keys = new Set([key]);
    while (turn.length < MAX_BATCH) {
      const next = this.#mails[this.#head];
      if (!next || next.command.type !== first.command.type) break;
      const nextKey = batchKey(next.command);
      if (nextKey === undefined || keys.has(nextKey)) break;
      keys.add(nextKey);
      this.#shift();
      turn.push(next);
    }
    return turn;
  }

  #shift(): Mail | undefined {
    const mail = this.#mails[this.#head];
    if (!mail) return undefined;
    this.#mails[this.#head++] = undefined as unknown as Mail;
    if (this.#head === this.#mails.length) {
      this.#mails = [];
      this.#head = 0;
    } else if (this.#head > 1_024) {
      this.#mails = this.#mails.slice(this.#head);
      this.#head = 0;
    }
    return mail;
  }
}
