import { type EffectsOf, NONE } from "./effects.ts";
import type { CommandOf } from "./runtime/commands.ts";

export interface FirstPage {
  /** `"items":[…],"next_cursor":…` */
  json: string;
  next_cursor: string | null;
  /** The event that this page includes at least. */
  seq: number;
}

export interface FeedCommands {
  /** The first page as JSON text without its closing `live_cursor`. `bypass` ignores the cache. */
  first_page: { command: { limit: number; bypass: boolean }; reply: FirstPage };
  /** The person changed something about this post that only they see, such as a like. */
  refresh: { command: { post_id: string }; reply: null };
}

export type FeedCommand = CommandOf<FeedCommands>;

export const FEED_EFFECTS: EffectsOf<FeedCommands> = {
  first_page: { readsFeed: true, whenBehind: (command) => ({ ...command, bypass: true }) },
  refresh: NONE,
};
