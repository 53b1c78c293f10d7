import type { CommandOf, CommandTable } from "./runtime/commands.ts";

/** The effects of a command on the node of its actors, besides what it commits (`live/hosted_actors.ts`). */
export interface Effects<Command> {
  /** It reads the person's feed, which is kept up to date from then on. */
  readonly readsFeed?: true;
  /** The command to send instead while this node's caches may be stale. */
  readonly whenBehind?: (command: Command) => Command;
  /** What changed for one person only: their feed shows it at once. */
  readonly changesFor?: (command: Command) => { user: string; post: string };
  /** It changes a number of likes, which is announced to listeners. */
  readonly countsLikes?: true;
}

/** Every command of a kind declares its effects, even if there are none. */
export type EffectsOf<Table extends CommandTable<Table>> = {
  readonly [Name in keyof Table]: Effects<CommandOf<Table, Name>>;
};

export const NONE = {};
