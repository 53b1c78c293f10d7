import type { FeedCommands } from "./feed_commands.ts";
import type { PageCommands } from "./page_commands.ts";
import type { HostStats, KindName } from "./runtime/protocol.ts";
import type { ActorRouter, AskOptions } from "./runtime/router.ts";
import type { UserCommands } from "./user_commands.ts";

/** The commands of each kind of actor, with their replies. */
export interface Commands {
  page: PageCommands;
  user: UserCommands;
  feed: FeedCommands;
}

export type NameOf<Kind extends KindName> = keyof Commands[Kind] & string;
export type FieldsOf<Kind extends KindName, Name extends NameOf<Kind>> = Commands[Kind][Name] extends
  { command: infer Fields extends object } ? Fields : never;
export type ReplyOf<Kind extends KindName, Name extends NameOf<Kind>> = Commands[Kind][Name] extends
  { reply: infer Reply } ? Reply : never;
/** The fields may be omitted if the command has none. */
type Rest<Fields> = object extends Fields ? [fields?: Fields, options?: AskOptions]
  : [fields: Fields, options?: AskOptions];

/** Commands without an effect. Feeds are read by their node alone. */
const READS: ReadonlySet<string> = new Set<`user ${NameOf<"user">}`>(["user account"]);

/** Typed access to the actors. Names, fields and replies are checked against `Commands`. */
export class Actors {
  constructor(private readonly router: ActorRouter) {}

  /**
   * Sends a command and waits until its reply and every event it committed are known on this node. Throws `AppError`.
   */
  ask<Kind extends KindName, Name extends NameOf<Kind>>(
    kind: Kind,
    id: string,
    name: Name,
    ...[fields, options]: Rest<FieldsOf<Kind, Name>>
  ): Promise<ReplyOf<Kind, Name>> {
    const all = READS.has(`${kind} ${name}`) ? { ...options, isRead: true } : options;
    return this.router.ask({ kind, id }, { type: name, ...fields }, all) as Promise<ReplyOf<Kind, Name>>;
  }

  /** Resolves when every actor has a node; rejects otherwise. */
  reach(): Promise<void> {
    return this.router.reach();
  }

  /** Counters of the actors in this process. */
  stats(): Promise<HostStats[]> {
    return this.router.stats();
  }

  /** Calls in progress on this node. */
  get waiting(): number {
    return this.router.waiting;
  }

  /** Waits until no call is in progress, or for this many milliseconds. */
  drain(timeoutMs: number): Promise<void> {
    return this.router.drain(timeoutMs);
  }
}
