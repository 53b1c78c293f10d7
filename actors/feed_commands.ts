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
}

export type FeedCommand = CommandOf<FeedCommands>;
