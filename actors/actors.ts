import { type Effects, NONE } from "./effects.ts";
import { FEED_EFFECTS, type FeedCommands } from "./feed_commands.ts";
import { PAGE_EFFECTS, type PageCommands } from "./page_commands.ts";
import type { Command, HostStats, KindName, Ref } from "./runtime/protocol.ts";
import type { ActorRouter, AskOptions } from "./runtime/router.ts";
import { USER_EFFECTS, type UserCommands } from "./user_commands.ts";

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
    return this.router.ask({ kind, id }, { type: name, ...fields }, options) as Promise<ReplyOf<Kind, Name>>;
  }

  /** Resolves when the actors can be reached; rejects if they cannot. */
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

/** Sends a command without waiting for a reply, to an actor that is active. */
export function tell<Kind extends KindName, Name extends NameOf<Kind>>(
  host: { tell(ref: Ref, command: Command): void },
  kind: Kind,
  id: string,
  name: Name,
  fields: FieldsOf<Kind, Name>,
): void {
  host.tell({ kind, id }, { type: name, ...fields });
}

const EFFECTS: Readonly<Record<KindName, object>> = { page: PAGE_EFFECTS, user: USER_EFFECTS, feed: FEED_EFFECTS };

/** The effects of a command. None if it is unknown, as from a node of another version: its actor rejects it. */
export function effectsOf({ kind }: Ref, { type }: Command): Effects<Command> {
  return (EFFECTS[kind] as Record<string, Effects<Command> | undefined>)[type] ?? NONE;
}
