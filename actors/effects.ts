import type { CommandOf, CommandTable } from "./runtime/commands.ts";

/** What follows from a command where the actors are, beside what it commits (`live/hosted_actors.ts`). */
export interface Effects<Command> {
  /** It reads the person's feed, which is kept fresh from then on. */
  readonly readsFeed?: true;
  /** What to ask in its place while the caches of this node may be behind. */
  readonly whenBehind?: (command: Command) => Command;
  /** What has changed for one person alone once it is done: their feed shows it at once. */
  readonly changesFor?: (command: Command) => { user: string; post: string };
  /** Once it is done, everybody is to hear of a number of likes. */
  readonly countsLikes?: true;
}

/** Every command of a kind says what follows from it, if only that nothing does. */
export type EffectsOf<Table extends CommandTable<Table>> = {
  readonly [Name in keyof Table]: Effects<CommandOf<Table, Name>>;
};

export const NONE = {};
