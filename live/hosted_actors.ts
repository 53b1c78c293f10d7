import { effectsOf } from "../actors/actors.ts";
import type { ActorRouter, AskOptions } from "../actors/runtime/router.ts";
import type { Pool } from "../actors/runtime/pool.ts";
import type { Command, HostStats, Ref } from "../actors/runtime/protocol.ts";
import type { ActiveFeeds } from "./active_feeds.ts";

/** The actors of this process, with the effects of commands from any node. */
export class HostedActors implements ActorRouter {
  constructor(
    private readonly pool: Pool,
    private readonly feeds: Pick<ActiveFeeds, "read" | "refresh">,
    private readonly likes: { hint(): void },
    private readonly stream: { readonly stalled: boolean },
  ) {}

  async ask(ref: Ref, command: Command, options?: AskOptions): Promise<unknown> {
    const { readsFeed, whenBehind, changesFor, countsLikes } = effectsOf(ref, command);
    if (readsFeed) this.feeds.read(ref.id);
    // This node's caches decide, not the requesting node's.
    const asked = whenBehind && this.stream.stalled ? whenBehind(command) : command;
    const value = await this.pool.ask(ref, asked, options);
    const changed = changesFor?.(command);
    if (changed) this.feeds.refresh(changed.user, changed.post);
    if (countsLikes) this.likes.hint();
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
