import type { Pool } from "../actors/runtime/pool.ts";
import type { Command, Ref } from "../actors/runtime/protocol.ts";
import type { AskOptions, LocalActors } from "../actors/runtime/router.ts";
import type { ActiveFeeds } from "./active_feeds.ts";

/**
 * The actors of this process. Feeds are read models that any node has: this one keeps the feeds of those who read here,
 * and answers from them only while its lease holds and its events are current.
 */
export class HostedActors implements LocalActors {
  constructor(
    private readonly pool: Pick<Pool, "ask">,
    private readonly feeds: Pick<ActiveFeeds, "read">,
    private readonly license: { readonly holds: boolean },
  ) {}

  ask(ref: Ref, command: Command, options?: AskOptions): Promise<unknown> {
    return ref.kind === "feed" ? this.#feed(ref, command, options) : this.pool.ask(ref, command, options);
  }

  async #feed(ref: Ref, command: Command, options?: AskOptions): Promise<unknown> {
    this.feeds.read(ref.id);
    if (this.license.holds) {
      const value = await this.pool.ask(ref, command, options);
      // It may have ended while the feed was read.
      if (this.license.holds) return value;
    }
    return await this.pool.ask(ref, { ...command, bypass: true } as Command, options);
  }
}
