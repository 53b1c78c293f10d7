import { type Reader, type Sql, SqlError } from "../../db/sql.ts";
import type { ActorKind, CommitDecision, Outcome } from "./actor.ts";
import { Committer, Fenced } from "./committer.ts";
import { type Failure, failureReply, isFault, isLost, MOVED_REPLY } from "./failures.ts";
import { type Committed, type Mail, Mailbox } from "./mailbox.ts";
import { partitionOf } from "../../db/partitions.ts";
import { type HostStats, type KindName, READ_MODELS, type Ref, type Refusal, type Reply } from "./protocol.ts";
import type { SequencedEvent } from "../../db/event.ts";
import { TurnEvents } from "./turn_events.ts";
import { WatchIndex } from "./watch_index.ts";
import { backoff } from "../../lib/backoff.ts";
import type { RequestContext } from "../../lib/request_context.ts";
import { TRACING } from "../../lib/tracing.ts";
import { inTurnSpans } from "./turn_spans.ts";
import type { Observations } from "../../lib/metrics/bound_histogram.ts";
import { boundHistogram, secondsSince } from "../../lib/metrics/registry.ts";

// deno-lint-ignore no-explicit-any -- the host runs kinds of every state and command
export type AnyKind = ActorKind<any, any>;

interface Activation {
  ref: Ref;
  kind: AnyKind;
  /** Undefined for a read model, which needs none. */
  partition: number | undefined;
  state: unknown;
  loaded: boolean;
  /** Of the partition when the state was loaded. The state counts under this epoch only. */
  epoch: number | undefined;
  mailbox: Mailbox;
  running: boolean;
  lastUsed: number;
  faults: number;
  /** Events received during a turn. Applied after it, because the turn may have read earlier data. */
  late: SequencedEvent[];
}

export interface HostPorts {
  /** `events`: of one statement, as a JSON array. */
  committed(events: string): void;
  /** A commit was fenced, or its outcome is unknown. */
  outdated(partition: number, epoch: number): void;
  /** `origin`: the request whose command failed, or the first of several. */
  fault(ref: Ref, error: unknown, origin: RequestContext | undefined): void;
}

export interface HostLimits {
  /** Milliseconds without a message before an actor is unloaded. */
  idleMs: number;
  /** Activations per worker before the least recently used is unloaded. */
  maxActivations: number;
}

export const HOST_LIMITS: HostLimits = { idleMs: 120_000, maxActivations: 20_000 };

const TURN = boundHistogram<"kind">("actor_turn_duration_seconds", "Time of a turn, with loading and commit");
const TURNS: Record<KindName, Observations> = {
  user: TURN.bind({ kind: "user" }),
  page: TURN.bind({ kind: "page" }),
  feed: TURN.bind({ kind: "feed" }),
};

/** Consecutive faults that cost only the activation. After that the actor is paused. */
const FREE_FAULTS = 2;
const FAULT_BACKOFF = backoff({ firstMs: 500, maxMs: 60_000 });
const BUSY: Refusal = { code: "overloaded", retryAfter: 1 };
const BUSY_REPLY: Reply = { ok: false, refusal: BUSY };
/** As during an upgrade: another node may know it. */
const UNKNOWN_REPLY: Reply = {
  ok: false,
  refusal: { code: "actors-unavailable", detail: "The node of this actor does not know the command", retryAfter: 1 },
};

/**
 * Runs the actors of its partitions: activation, mailbox, turn, commit, passivation. No effect leaves a turn before its
 * commit is durable. After any SQL error the cached state is dropped.
 */
export class Host {
  #actors = new Map<string, Activation>();
  #epochs = new Map<number, number>();
  /** Failing actors, and until when they are paused. */
  #paused = new Map<string, { until: number; faults: number }>();
  #watchers = new WatchIndex<Activation>();
  /** For kinds that watch pages. */
  #turnEvents = new TurnEvents<Activation>();
  #committer: Committer;
  #stats = { turns: 0, fenced: 0, faults: 0, mailboxMs: 0 };

  constructor(
    private readonly kinds: Record<KindName, AnyKind>,
    private readonly sql: Sql,
    private readonly ports: HostPorts,
    private readonly limits: HostLimits = HOST_LIMITS,
    private readonly now: () => number = Date.now,
  ) {
    this.#committer = new Committer(sql, (events) => ports.committed(events));
  }

  grant(partition: number, epoch: number): void {
    this.#epochs.set(partition, epoch);
  }

  revoke(partition: number): void {
    this.#epochs.delete(partition);
  }

  ask(ref: Ref, mail: Mail): void {
    if (!this.#accepts(ref, mail)) return answer(mail, UNKNOWN_REPLY);
    const key = `${ref.kind}/${ref.id}`;
    const pause = this.#paused.get(key);
    if (pause && pause.until > this.now()) {
      return answer(mail, {
        ok: false,
        refusal: { ...BUSY, retryAfter: Math.ceil((pause.until - this.now()) / 1000) },
      });
    }
    let actor = this.#actors.get(key);
    if (!actor) {
      actor = this.#activate(ref);
      if (!this.#isHere(actor)) return answer(mail, MOVED_REPLY);
      this.#actors.set(key, actor);
    }
    if (!actor.mailbox.offer(mail)) return answer(mail, BUSY_REPLY);
    if (!actor.running) void this.#drain(key, actor);
  }

  /** Applies committed events to every watching actor, before any later message. */
  absorb(events: readonly SequencedEvent[]): void {
    for (const event of events) {
      this.#turnEvents.add(event);
      if (event.kind === "user.deleted") {
        for (const actor of this.#actors.values()) if (actor.ref.kind === "feed") this.#absorb(actor, event);
      }
      if (event.user_id) {
        this.#absorb(this.#actors.get(`feed/${event.user_id}`), event);
        this.#absorb(this.#actors.get(`user/${event.user_id}`), event);
      }
      if (event.page_id) {
        this.#absorb(this.#actors.get(`page/${event.page_id}`), event);
        for (const actor of this.#watchers.of(event.page_id)) this.#absorb(actor, event);
      }
    }
  }

  /** Unloads idle actors and, over the limit, the least recently used. */
  sweep(): void {
    const oldest = this.now() - this.limits.idleMs;
    let over = this.#actors.size - this.limits.maxActivations;
    for (const [key, actor] of this.#actors) {
      if (actor.running || actor.mailbox.size > 0) continue;
      if (actor.lastUsed >= oldest && over <= 0) continue;
      this.#watchers.forget(actor);
      this.#actors.delete(key);
      over--;
    }
    for (const [key, { until }] of this.#paused) if (until + 60_000 < this.now()) this.#paused.delete(key);
  }

  stats(): HostStats {
    const activations: Record<KindName, number> = { user: 0, page: 0, feed: 0 };
    let waiting = 0;
    for (const actor of this.#actors.values()) {
      activations[actor.ref.kind]++;
      waiting += actor.mailbox.size;
    }
    const { commits, statements, ms } = this.#committer.stats;
    return { partitions: this.#epochs.size, activations, waiting, ...this.#stats, commits, statements, commitMs: ms };
  }

  /** Not in a turn: what another version sends is not a fault of the actor, which would be paused. */
  #accepts(ref: Ref, mail: Mail): boolean {
    const kind = Object.hasOwn(this.kinds, ref.kind) ? this.kinds[ref.kind] : undefined;
    if (!kind?.handles(mail.command?.type)) return false;
    try {
      mail.batchKey = kind.batchKey?.(mail.command);
      return true;
    } catch (error) {
      this.ports.fault(ref, error, mail.origin);
      return false;
    }
  }

  #activate(ref: Ref): Activation {
    if (this.#actors.size >= this.limits.maxActivations + 1_000) this.sweep();
    const kind = this.kinds[ref.kind];
    return {
      ref,
      kind,
      partition: READ_MODELS.has(ref.kind) ? undefined : partitionOf(ref.id),
      state: undefined,
      loaded: false,
      epoch: undefined,
      mailbox: new Mailbox(),
      running: false,
      lastUsed: this.now(),
      faults: 0,
      late: [],
    };
  }

  async #drain(key: string, actor: Activation): Promise<void> {
    actor.running = true;
    for (let turn = actor.mailbox.take(); turn.length > 0; turn = actor.mailbox.take()) {
      try {
        await this.#runTurn(key, actor, turn);
      } catch (error) {
        // Nobody waits for this promise, and an unhandled rejection would end the thread with all its actors.
        this.#fail(key, actor, turn.map((mail) => ({ mail, error })));
        this.#turnEvents.end(actor);
        actor.late = [];
      }
    }
    actor.running = false;
    actor.lastUsed = this.now();
    // Moved to the end, so that a sweep finds the least recently used first.
    if (this.#actors.get(key) === actor) {
      this.#actors.delete(key);
      this.#actors.set(key, actor);
    }
  }

  async #runTurn(key: string, actor: Activation, turn: readonly Mail[]): Promise<void> {
    const start = this.now();
    const live = turn.filter((mail) => {
      this.#stats.mailboxMs += start - mail.arrived;
      if (mail.deadline > start) return true;
      answer(mail, BUSY_REPLY);
      return false;
    });
    if (live.length === 0) return;
    if (!this.#isHere(actor)) {
      for (const mail of live) answer(mail, MOVED_REPLY);
      return;
    }
    this.#stats.turns++;
    const begun = performance.now();
    if (actor.kind.watches) this.#turnEvents.begin(actor);
    if (TRACING) await inTurnSpans(actor.ref, live, () => this.#attempt(key, actor, live));
    else await this.#attempt(key, actor, live);
    TURNS[actor.ref.kind].observe(secondsSince(begun));
    for (const event of actor.late.splice(0)) this.#take(actor, event);
    for (const event of this.#turnEvents.end(actor)) if (this.#concerns(event, actor)) this.#take(actor, event);
  }

  async #attempt(key: string, actor: Activation, mails: Mail[]): Promise<void> {
    try {
      const epoch = this.#epochOf(actor);
      if (!actor.loaded || actor.epoch !== epoch) await this.#load(actor, epoch);
      const failures = await this.#turn(actor, mails);
      if (failures.length > 0) return this.#fail(key, actor, failures);
      actor.faults = 0;
      if (this.#paused.size > 0) this.#paused.delete(key);
    } catch (error) {
      this.#fail(key, actor, mails.map((mail) => ({ mail, error })));
    }
  }

  /** `epoch`: from before the load. If the partition has moved since, what is decided on this state is fenced. */
  async #load(actor: Activation, epoch: number | undefined): Promise<void> {
    actor.state = await actor.kind.load(this.sql as Reader, actor.ref.id);
    actor.loaded = true;
    actor.epoch = epoch;
    this.#afterTurn(actor);
  }

  /** The messages whose commits failed, each for itself: commits of different kinds are different statements. */
  async #turn(actor: Activation, mails: Mail[]): Promise<Failure[]> {
    const commits: { mail: Mail; decision: CommitDecision<unknown> }[] = [];
    for (const mail of mails) {
      const decision = actor.kind.decide(actor.state, mail.command, this.now());
      if (decision.type === "refuse") answer(mail, { ok: false, refusal: decision.refusal }, "memory");
      else if (decision.type === "reply") answer(mail, { ok: true, value: decision.value }, "memory");
      else if (decision.type === "commit") commits.push({ mail, decision });
      else {
        const read = await decision.run(this.sql);
        if ("refusal" in read) {
          answer(mail, { ok: false, refusal: read.refusal }, "memory");
          continue;
        }
        actor.state = read.state;
        this.#afterTurn(actor);
        answer(mail, { ok: true, value: read.value }, "memory");
      }
    }
    if (commits.length === 0) return [];
    const ends = await Promise.allSettled(commits.map(({ mail, decision }) => this.#commit(actor, mail, decision)));
    return ends.flatMap((end, i) => end.status === "rejected" ? [{ mail: commits[i]!.mail, error: end.reason }] : []);
  }

  async #commit(actor: Activation, mail: Mail, decision: CommitDecision<unknown>): Promise<void> {
    const { partition } = actor;
    if (partition === undefined) throw new Error(`A ${actor.kind.name} actor is a read model and commits nothing`);
    const epoch = actor.epoch ?? -1;
    let outcome: Outcome<unknown>;
    let seq: number | null = null;
    try {
      const turn = { partition, epoch, row: decision.row, traceparent: mail.origin?.traceparent };
      const committed = await this.#committer.submit(
        decision.commit,
        mail.receipt === undefined ? turn : { ...turn, receipt: mail.receipt },
      );
      outcome = decision.then(committed.result);
      seq = committed.seq;
    } catch (error) {
      const code = error instanceof SqlError && error.constraint
        ? decision.commit.violations[error.constraint]
        : undefined;
      if (!code) throw error;
      actor.loaded = false;
      return answer(mail, { ok: false, refusal: { code } });
    }
    if (outcome.state === "drop") actor.loaded = false;
    else if (outcome.state !== undefined) {
      actor.state = outcome.state;
      this.#afterTurn(actor);
    }
    if ("refusal" in outcome) return answer(mail, { ok: false, refusal: outcome.refusal }, { seq, jobs: [] });
    answer(mail, { ok: true, value: outcome.value }, { seq, jobs: outcome.jobs ?? [] });
  }

  #afterTurn(actor: Activation): void {
    if (actor.kind.watches) this.#watchers.set(actor, actor.kind.watches(actor.state));
  }

  #absorb(actor: Activation | undefined, event: SequencedEvent): void {
    if (!actor?.kind.absorb) return;
    if (!actor.running) this.#take(actor, event);
    else if (!actor.kind.watches) actor.late.push(event);
  }

  /** Whether an actor that watches pages receives the event. */
  #concerns({ kind, user_id, page_id }: SequencedEvent, actor: Activation): boolean {
    const { id } = actor.ref;
    return kind === "user.deleted" || user_id === id || page_id === id ||
      (page_id !== null && this.#watchers.has(actor, page_id));
  }

  #take(actor: Activation, event: SequencedEvent): void {
    if (!actor.loaded || !actor.kind.absorb) return;
    try {
      const next = actor.kind.absorb(actor.state, event);
      if (next === "drop") actor.loaded = false;
      else actor.state = next;
    } catch (error) {
      // What is loaded again has the effects of the event.
      actor.loaded = false;
      this.ports.fault(actor.ref, error, undefined);
    }
  }

  /**
   * A failure ends the activation: its state is dropped, its mailbox continues. Each caller gets the error of its own
   * message. A turn is at most one fault.
   */
  #fail(key: string, actor: Activation, failures: readonly Failure[]): void {
    actor.loaded = false;
    if (failures.some(({ error }) => error instanceof Fenced)) this.#stats.fenced++;
    // What is in memory may be out of date, also after the next load: a lost commit may happen until the epoch changes.
    const isOutdated = failures.some(({ error }) => error instanceof Fenced || isLost(error));
    if (isOutdated && actor.partition !== undefined) this.#giveUp(actor.partition, actor.epoch ?? -1);
    const faults = failures.filter(({ error }) => isFault(error));
    if (faults.length > 0) {
      this.#stats.faults++;
      actor.faults++;
      this.ports.fault(actor.ref, faults[0]!.error, faults.find(({ mail }) => mail.origin)?.mail.origin);
      if (actor.faults > FREE_FAULTS) {
        const pause = FAULT_BACKOFF(actor.faults - FREE_FAULTS);
        this.#paused.set(key, { until: this.now() + pause, faults: actor.faults });
      }
    }
    for (const { mail, error } of failures) answer(mail, failureReply(error));
  }

  /** At once: what waits in a mailbox must not be done beside a commit that is not over. */
  #giveUp(partition: number, epoch: number): void {
    if (this.#epochs.get(partition) === epoch) this.#epochs.delete(partition);
    this.ports.outdated(partition, epoch);
  }

  #isHere({ partition }: Activation): boolean {
    return partition === undefined || this.#epochs.has(partition);
  }

  #epochOf({ partition }: Activation): number | undefined {
    return partition === undefined ? undefined : this.#epochs.get(partition);
  }
}

/** Only the first answer counts: a fault after it concerns other messages of the turn. */
function answer(mail: Mail, reply: Reply, from?: Committed | "memory"): void {
  if (mail.answered) return;
  mail.answered = true;
  mail.answer(reply, from);
}
