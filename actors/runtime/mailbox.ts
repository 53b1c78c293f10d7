import type { JobRef } from "../../db/jobs.ts";
import type { RequestContext } from "../../lib/request_context.ts";
import type { Command, Reply } from "./protocol.ts";

/** A message and the callback for its reply. */
export interface Mail {
  command: Command;
  /** Unix milliseconds. After it the message is not started. */
  deadline: number;
  receipt?: string;
  /** The request that sent it; in a turn that is traced, the turn's span is its place. */
  origin?: RequestContext | undefined;
  arrived: number;
  /** The key of its command, if it has one (`ActorKind.batchKey`). */
  batchKey?: string | undefined;
  answered?: true;
  /** `from`: what the turn committed, or that the reply was decided from the actor's cached state. */
  answer(reply: Reply, from?: Committed | "memory"): void;
}

export interface Committed {
  /** The statement's last event, if it wrote any. */
  seq: number | null;
  jobs: readonly JobRef[];
}

/** Messages that may wait for one actor (`docs/limits.md`). */
export const MAX_MAILBOX = 1_000;
/** Messages that may share a turn. */
export const MAX_BATCH = 256;

/** A bounded FIFO queue, cheap at both ends. */
export class Mailbox {
  #mails: Mail[] = [];
  #head = 0;

  get size(): number {
    return this.#mails.length - this.#head;
  }

  /** False if it is full; then nothing has changed. */
  offer(mail: Mail): boolean {
    if (this.size >= MAX_MAILBOX) return false;
    this.#mails.push(mail);
    return true;
  }

  /** The messages of the next turn: one, or several of one type with different keys. */
  take(): Mail[] {
    const first = this.#shift();
    if (!first) return [];
    const turn = [first];
    if (first.batchKey === undefined) return turn;
    const keys = new Set([first.batchKey]);
    while (turn.length < MAX_BATCH) {
      const next = this.#mails[this.#head];
      if (!next || next.command.type !== first.command.type) break;
      if (next.batchKey === undefined || keys.has(next.batchKey)) break;
      keys.add(next.batchKey);
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
