import type { FeedCommand } from "../actors/feed_commands.ts";
import type { PageCommand } from "../actors/page_commands.ts";
import type { ActorRouter, AskOptions } from "../actors/runtime/router.ts";
import type { Pool } from "../actors/runtime/pool.ts";
import type { Command, HostStats, Ref } from "../actors/runtime/protocol.ts";
import type { ActiveFeeds } from "./active_feeds.ts";

type FirstPage = Extract<FeedCommand, { type: "first_page" }>;
type Like = Extract<PageCommand, { type: "like" | "unlike" }>;

/** The actors of this process, with what follows from their being asked, on whichever node that began. */
export class HostedActors implements ActorRouter {
  constructor(
    private readonly pool: Pool,
    private readonly feeds: Pick<ActiveFeeds, "read" | "refresh">,
    private readonly likes: { hint(): void },
    private readonly stream: { readonly stalled: boolean },
  ) {}

  async ask(ref: Ref, command: Command, options?: AskOptions): Promise<unknown> {
    if (isFirstPage(ref, command)) {
      this.feeds.read(ref.id);
      // These actors may be behind, whatever the asking node thinks of itself.
      if (this.stream.stalled) {
        return await this.pool.ask(ref, { ...command, bypass: true } as FirstPage, options);
      }
    }
    const value = await this.pool.ask(ref, command, options);
    if (isLike(ref, command)) {
      // Only the one who likes sees `liked` change at once; the count reaches everybody by an event.
      this.feeds.refresh(command.by.id, command.post_id);
      this.likes.hint();
    }
    return value;
  }

  reach(): Promise<void> {
    return this.pool.reach();
  }

  stats(): Promise<HostStats[]> {
    return this.pool.stats();
  }

  get waiting(): number {
    return this.pool.waiting;
  }

  drain(timeoutMs: number): Promise<void> {
    return this.pool.drain(timeoutMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.pool[Symbol.asyncDispose]();
  }
}

function isFirstPage({ kind }: Ref, command: Command): command is FirstPage {
  return kind === "feed" && command.type === "first_page";
}

function isLike({ kind }: Ref, command: Command): command is Like {
  return kind === "page" && (command.type === "like" || command.type === "unlike");
}
