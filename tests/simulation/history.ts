/**
 * One history of a few nodes under faults, determined by its seed, and what must hold in every one:
 *
 * - one writer an epoch, nothing lost or doubled, and no partition taken from a node whose lease holds
 * - a reply reflects every write that was acknowledged before its call, also if its state was loaded or its thread was
 *   busy while the partition went away and came back
 * - a feed shows what its node acknowledged before, and what every node knew before, and no session is accepted that
 *   ended before; both also at once after a node without a lease, which missed events, has one again
 * - the stream of events has no gap
 * - after the faults every partition has a node again
 */
import assert from "node:assert/strict";
import { PARTITIONS } from "../../db/partitions.ts";
import { Seeded } from "../support/seeded.ts";
import { type Process, SimulatedClock } from "./clock.ts";
import { PAGES, SimulatedDatabase, uuid } from "./database.ts";
import { SimulatedNetwork } from "./network.ts";
import { SimulatedNode, type World } from "./node.ts";

const NODES = 3;
const ACCOUNTS = 10;
const FEEDS = 6;
/** When actors are unloaded: soon, so that many loads overlap with faults, or never. */
const IDLE_MS = [500, 500, 60_000];
const CLIENTS = 6;
const FAULTY_MS = 12_000;
/** One of so many histories loses the answers of many commits. */
const LOSSY = 7;
/** Longer than a lease, the time that calls wait, and a few hand-overs. */
const CALM_MS = 12_000;

const FAULTS = {
  freeze: 3,
  freezeShortly: 3,
  kill: 1,
  stop: 1,
  swallow: 2,
  refuse: 1,
  busDown: 1,
  databaseDown: 1,
  isolate: 4,
  wallClock: 1,
};

/** What clients do. `hide`: a write that has reached every node once it is answered, as a block. */
const ACTS = { add: 5, hide: 1, get: 8, feed: 2, account: 4, endSession: 2 };

interface Add {
  page: string;
  node: SimulatedNode;
  begun: number;
  acknowledged?: number;
  /** When every node without it had no lease any more. */
  known?: number;
}

export interface HistoryResult {
  events: number;
  acknowledged: number;
  reads: number;
  takeovers: number;
}

export async function runHistory(seed: number): Promise<HistoryResult> {
  const random = new Seeded(seed);
  const clock = new SimulatedClock();
  using _installed = clock.install();
  const history = new History(random, clock);
  return await history.run();
}

class History {
  readonly #world: World;
  readonly #nodes: SimulatedNode[] = [];
  readonly #adds = new Map<string, Add>();
  readonly #ended = new Map<string, number>();
  #names = 0;
  #operations = 0;
  #reads = 0;
  #takeovers = 0;
  #isOver = false;
  #failure: unknown;

  constructor(private readonly random: Seeded, private readonly clock: SimulatedClock) {
    const network = new SimulatedNetwork(clock, random, { loss: 0.01, maxDelayMs: random.pick([20, 200, 900]) });
    const database = new SimulatedDatabase(clock, random);
    this.#world = { clock, network, database, idleMs: random.pick(IDLE_MS), onLapse: (node) => this.#readAgain(node) };
    database.onTaken = (partition, from) => {
      this.#takeovers++;
      const owner = this.#nodes.find(({ id }) => id === from);
      if (!owner || owner.process.isDead) return;
      const holds = clock.within(owner.process, () => owner.lease.holds);
      assert.ok(!holds, `partition ${partition} was taken from ${from}, whose lease holds`);
    };
  }

  async run(): Promise<HistoryResult> {
    for (let i = 0; i < NODES; i++) this.#startNode();
    await this.#pass(2_000);
    for (let i = 0; i < CLIENTS; i++) this.#client();
    this.#faults();
    if (this.random.seed % LOSSY === 0) this.#world.database.commitLoss = 0.05;
    if (this.random.seed % 4 === 0) {
      this.clock.after(this.random.next() * FAULTY_MS, undefined, () => this.#setClockBack());
    }
    await this.#pass(FAULTY_MS);
    this.#isOver = true;
    this.#heal();
    await this.#pass(CALM_MS);
    await this.#assertWell();
    this.#assertWrites();
    const acknowledged = [...this.#adds.values()].filter(({ acknowledged }) => acknowledged !== undefined).length;
    return { events: this.clock.events, acknowledged, reads: this.#reads, takeovers: this.#takeovers };
  }

  async #pass(ms: number): Promise<void> {
    await this.clock.run(ms);
    if (this.#failure) throw this.#failure;
  }

  #startNode(): void {
    const { random } = this;
    const process: Process = {
      name: `${random.whole(0, 255).toString(16).padStart(8, "0")}-${++this.#names}`,
      isDead: false,
      frozenUntil: 0,
      threadsBusyUntil: 0,
      rate: 0.98 + random.next() * 0.04,
      offset: random.next() * 1e9,
      wallOffset: 0,
    };
    this.clock.after(random.next() * 500, process, () => {
      // A supervisor starts another one after a failed start.
      const failed = () => {
        process.isDead = true;
        this.clock.after(500, undefined, () => this.#startNode());
      };
      this.#watch(SimulatedNode.start(this.#world, process).then((node) => void this.#nodes.push(node), failed));
    });
  }

  /** Live ones, which may be frozen or cut off. */
  get #live(): SimulatedNode[] {
    return this.#nodes.filter(({ process }) => !process.isDead);
  }

  /** Does one thing after the other, each at a random node. */
  #client(): void {
    if (this.#isOver) return;
    const { random, clock } = this;
    const next = () => clock.after(random.next() * 60, undefined, () => this.#client());
    const node = this.#live.length > 0 ? random.pick(this.#live) : undefined;
    if (!node) return void next();
    const act = random.weighted(ACTS);
    // A client gives up on a node that does not answer, as on a frozen or dead one.
    let isDone = false;
    const done = () => {
      if (!isDone) next();
      isDone = true;
    };
    clock.after(1_500, undefined, done);
    clock.after(
      1,
      node.process,
      () => this.#watch(this.#act(act, node).finally(() => clock.after(0, undefined, done))),
    );
  }

  async #act(act: keyof typeof ACTS, node: SimulatedNode): Promise<void> {
    const page = this.random.pick(PAGES);
    if (act === "add") return void await this.#add(node, page);
    if (act === "hide") return await this.#hide(node, page);
    if (act === "get") return await this.#get(node, page);
    if (act === "feed") return await this.#readFeed(node, uuid(this.random.whole(0, FEEDS - 1)));
    const accounts = this.#accounts(this.random.whole(0, 2));
    if (act === "endSession") return await this.#endSession(node, this.random.pick(accounts));
    await Promise.all(accounts.map((account) => this.#readAccount(node, account)));
  }

  /** Others from time to time, as a session ends only once. */
  #accounts(ago: number): string[] {
    const first = 1_000 + ACCOUNTS * (Math.floor(this.clock.now / 4_000) - ago);
    return Array.from({ length: ACCOUNTS }, (_, i) => uuid(first + i));
  }

  /** The sockets of a node that had no lease are closed, so its clients read all they show as soon as it has one. */
  #readAgain(node: SimulatedNode): void {
    if (!node.lease.holds) return void this.clock.after(2, node.process, () => this.#readAgain(node));
    for (const page of PAGES) this.#watch(this.#get(node, page));
    for (let i = 0; i < FEEDS; i++) this.#watch(this.#readFeed(node, uuid(i)));
    for (const account of [0, 1, 2].flatMap((ago) => this.#accounts(ago))) {
      this.#watch(this.#readAccount(node, account));
    }
  }

  async #add(node: SimulatedNode, page: string): Promise<Add | undefined> {
    const operation = `operation ${++this.#operations}`;
    const add: Add = { page, node, begun: this.clock.now };
    this.#adds.set(operation, add);
    const ref = { kind: "page", id: page } as const;
    if (await refused(node.router.ask(ref, { type: "add", operation } as { type: string }))) return;
    add.acknowledged = this.clock.now;
    return add;
  }

  async #hide(node: SimulatedNode, page: string): Promise<void> {
    const add = await this.#add(node, page);
    if (add && !await refused(node.barrier.wait())) add.known = this.clock.now;
  }

  /** Everything that this node acknowledged before, and everything that all nodes knew before. */
  async #readFeed(node: SimulatedNode, id: string): Promise<void> {
    const begun = this.clock.now;
    const least = [...this.#adds].filter(([, add]) =>
      (add.known ?? Infinity) < begun || (add.node === node && (add.acknowledged ?? Infinity) < begun)
    );
    let posts: unknown;
    if (await refused(node.router.ask({ kind: "feed", id }, { type: "get" }).then((value) => posts = value))) return;
    this.#reads++;
    const shown = new Set(posts as string[]);
    const missing = least.filter(([operation]) => !shown.has(operation));
    assert.deepEqual(missing.map(([operation]) => operation), [], `a feed of node ${node.id} lacks posts`);
  }

  /** At least what was acknowledged before, at most what was begun until now. */
  async #get(node: SimulatedNode, page: string): Promise<void> {
    const begun = this.clock.now;
    const of = (isCounted: (add: Add) => boolean) =>
      [...this.#adds.values()].filter((add) => add.page === page && isCounted(add)).length;
    const least = of(({ acknowledged }) => acknowledged !== undefined && acknowledged < begun);
    let total: unknown;
    const reading = node.router.ask({ kind: "page", id: page }, { type: "get" }).then((value) => total = value);
    if (await refused(reading)) return;
    this.#reads++;
    const most = of((add) => add.begun <= this.clock.now);
    const text = `node ${node.id} answered ${total} at ${Math.round(this.clock.now)} ms`;
    assert.ok(Number(total) >= least, `${text}, although ${least} were acknowledged before`);
    assert.ok(Number(total) <= most, `${text}, although only ${most} were begun`);
  }

  /** Everything that was stored, also by a statement whose connection broke before it happened. */
  async #getStored(node: SimulatedNode, page: string): Promise<void> {
    const stored = this.#world.database.pages.get(page)?.length ?? 0;
    const total = await node.router.ask({ kind: "page", id: page }, { type: "get" });
    assert.ok(Number(total) >= stored, `node ${node.id} answered ${total}, although ${stored} were stored before`);
  }

  async #endSession(node: SimulatedNode, account: string): Promise<void> {
    const ref = { kind: "user", id: account } as const;
    const operation = `operation ${++this.#operations}`;
    if (await refused(node.router.ask(ref, { type: "revoke", operation } as { type: string }))) return;
    if (await refused(node.barrier.wait())) return;
    this.#ended.set(account, Math.min(this.#ended.get(account) ?? Infinity, this.clock.now));
  }

  async #readAccount(node: SimulatedNode, account: string): Promise<void> {
    const begun = this.clock.now;
    const ended = this.#ended.get(account) ?? Infinity;
    let session: unknown;
    const reading = node.accounts.snapshot(account).then((snapshot) => session = snapshot?.session);
    if (await refused(reading)) return;
    this.#reads++;
    if (ended >= begun) return;
    assert.equal(session, null, `node ${node.id} accepted a session that had ended ${begun - ended} ms before`);
  }

  #faults(): void {
    const { random, clock } = this;
    for (let at = 0; at < FAULTY_MS - 1_000; at += 200 + random.next() * 2_500) {
      clock.after(at, undefined, () => this.#fault(random.weighted(FAULTS)));
    }
  }

  #fault(fault: keyof typeof FAULTS): void {
    const { random, clock } = this;
    const { network, database } = this.#world;
    const { process } = random.pick(this.#live);
    const later = (ms: number, end: () => void) => clock.after(ms, undefined, end);
    switch (fault) {
      case "freeze":
      case "freezeShortly": {
        const ms = fault === "freeze" ? 2_000 + random.next() * 4_000 : random.next() * 2_600;
        process.frozenUntil = Math.max(process.frozenUntil, clock.now + ms);
        // A broker drops what a frozen client does not read.
        if (random.chance(0.5)) return;
        network.cuts.set(process, "swallow");
        return void later(ms, () => network.cuts.delete(process));
      }
      case "kill":
        process.isDead = true;
        return this.#startNode();
      case "stop": {
        const node = this.#nodes.find((each) => each.process === process)!;
        clock.after(0, process, () => this.#watch(node.stop().then(() => void (process.isDead = true))));
        return this.#startNode();
      }
      case "swallow":
      case "refuse":
        network.cuts.set(process, fault);
        return void later(random.next() * 4_000, () => network.cuts.delete(process));
      case "isolate":
        return this.#isolate(process);
      case "busDown":
        network.isDown = true;
        return void later(random.next() * 3_000, () => network.isDown = false);
      case "databaseDown":
        database.isDown = true;
        return void later(random.next() * 4_000, () => database.isDown = false);
      case "wallClock":
        process.wallOffset += (random.next() - 0.5) * 7_200_000;
    }
  }

  /** From everything but its clients. What it read before, or asked its threads meanwhile, may be answered after. */
  #isolate(process: Process): void {
    const { random, clock } = this;
    const { network, database } = this.#world;
    const later = (ms: number, end: () => void) => clock.after(ms, undefined, () => this.#isOver || end());
    const beginsIn = random.next() * 1_000;
    const endsIn = beginsIn + 2_000 + random.next() * 4_000;
    database.slowUntil.set(process, clock.now + endsIn);
    later(beginsIn, () => {
      database.slowUntil.delete(process);
      database.cutOff.add(process);
      network.cuts.set(process, random.pick(["swallow", "refuse"]));
      if (random.chance(0.3)) process.threadsBusyUntil = clock.now + endsIn - beginsIn + random.next() * 2_000;
    });
    later(endsIn, () => database.cutOff.delete(process));
    // A client of the bus waits longer between its attempts.
    later(endsIn + random.pick([0, 1_000, 3_000]), () => network.cuts.delete(process));
  }

  /** The clock of the database, by longer than a history lasts. */
  #setClockBack(): void {
    this.#world.database.clockOffset -= 60_000;
  }

  #heal(): void {
    const { network, database } = this.#world;
    network.cuts.clear();
    network.isDown = database.isDown = false;
    database.cutOff.clear();
    database.loss = database.commitLoss = 0;
    database.slowUntil.clear();
  }

  /** Every partition has a node, shares are even, and every node can write and has all events. */
  async #assertWell(): Promise<void> {
    const { database } = this.#world;
    const live = this.#live;
    const shares = live.map(({ id }) => database.partitions.filter(({ node }) => node === id).length);
    assert.equal(shares.reduce((sum, share) => sum + share, 0), PARTITIONS, `shares ${shares} of ${live.length} nodes`);
    assert.ok(Math.max(...shares) - Math.min(...shares) <= 2, `shares ${shares} are not even`);
    for (const page of PAGES) {
      for (const node of live) this.clock.after(1, node.process, () => this.#watch(this.#getStored(node, page)));
    }
    await this.#pass(1_000);
    const written: string[] = [];
    for (const node of live) {
      for (const page of PAGES) {
        this.clock.after(1, node.process, () => this.#watch(this.#add(node, page).then(() => void written.push(page))));
      }
    }
    await this.#pass(3_000);
    assert.equal(written.length, live.length * PAGES.length);
    for (const { id, position } of live) assert.equal(position, database.events.length, `node ${id} lacks events`);
    const unanswered = [...this.#adds.values()].slice(-written.length).filter((add) => add.acknowledged === undefined);
    assert.deepEqual(unanswered, [], "writes failed although all is well");
  }

  #assertWrites(): void {
    const stored = new Map<string, number>();
    for (const operations of this.#world.database.pages.values()) {
      for (const operation of operations) stored.set(operation, (stored.get(operation) ?? 0) + 1);
    }
    for (const [operation, { acknowledged }] of this.#adds) {
      const times = stored.get(operation) ?? 0;
      assert.ok(times <= 1, `${operation} was done ${times} times`);
      if (acknowledged !== undefined) assert.equal(times, 1, `${operation} was acknowledged and is lost`);
    }
  }

  #watch(work: Promise<unknown>): void {
    work.catch((error) => this.#failure ??= error);
  }
}

/** Whether it was refused or its outcome is unknown. A broken invariant is neither. */
async function refused(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return true;
  }
}
