import { type DirectoryRow, readDirectory, shortenLeases } from "../../db/nodes.ts";
import { type Grant, releasePartitions, takePartitions } from "../../db/partitions.ts";
import type { Sql } from "../../db/sql.ts";
import type { Log } from "../../lib/log.ts";
import { counter } from "../../lib/metrics/registry.ts";
import { nextStep } from "./balance.ts";
import type { Directory } from "./directory.ts";
import { within } from "../../lib/sleep.ts";
import { LEASE_MS, RENEW_MS } from "./node_lease.ts";
import type { Pool } from "./pool.ts";

/** How long calls in progress may delay the hand-over of their partition. Later ones are fenced. */
const FINISH_MS = 1_000;
/** Partitions handed over together. Few, so that none waits for the slow calls of many others. */
const HAND_OVER = 8;
/** How long releasing may take at a stop. Then the end of the lease frees what is left. */
const LEAVE_MS = 3_000;
/** When partitions are free for this long, any node takes them, and keeps them for this long. */
const LATE_MS = 1_000;
const FORGIVE_MS = 5_000;
/** After the end of a lease by the directory, so that the database agrees. */
const AFTER_LEASE_MS = 10;

const TAKEN = counter("partitions_taken_total", "Partitions that this node took, also again after a lapse");
const RELEASED = counter("partitions_released_total", "Partitions that this node gave up for others");
const LAPSES = counter("lease_lapses_total", "How often this node's lease ended while it had partitions");

export interface PlacementOptions {
  /** The node. */
  id: string;
  sql: Sql;
  pool: Pick<Pool, "grants" | "grant" | "revoke" | "finish" | "canHost">;
  directory: Directory;
  lease: { readonly holds: boolean };
  log: Log;
  /** Whether the node takes partitions now. */
  takes: () => boolean;
  /** Notifies other nodes that partitions became free or have a new owner. */
  announce: () => void;
}

/**
 * The node's share of the partitions. It takes what is free and what it had before it lost its lease, never a partition
 * of a node whose lease is in force, and gives partitions up for nodes that have fewer. The database decides; what this
 * node reads before only says what to try.
 */
export class Placement {
  #balancing: Promise<void> | undefined;
  #again = false;
  #leaving = false;
  #refreshing: Promise<void> | undefined;
  #shortening: Promise<void> | undefined;
  #freeSince = Infinity;
  #lateUntil = -Infinity;
  #leaseEnd: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: PlacementOptions) {}

  /** The directory came with a renewal of this node's lease. */
  update(row: DirectoryRow): void {
    const { directory, id } = this.options;
    directory.update(row);
    // A renewal shows the directory from before itself: at the first one, or after a lapse, this node is not in it.
    if (!directory.isLive(id)) void this.refresh();
    else this.#check();
  }

  /** Another node changed the directory, or a call found that it is out of date. */
  refresh(): Promise<void> {
    return this.#refreshing ??= readDirectory(this.options.sql).then((row) => {
      this.options.directory.update(row);
      this.#check();
    }, () => {}).finally(() => this.#refreshing = undefined);
  }

  /** This node had no lease for a while, so others may have taken its partitions. Those left are taken again. */
  lapsed(): void {
    const { pool, log } = this.options;
    const had = pool.grants.map(({ partition }) => partition);
    if (had.length === 0) return;
    LAPSES.inc();
    log.warn("the node's lease was over, taking its partitions again", { partitions: had.length });
    pool.revoke(had);
  }

  /**
   * A commit was fenced, so another node has the partition, or its outcome is unknown. Then the partition is taken
   * again under a new epoch: what the server has not finished is waited for or fenced, and actors load once more.
   */
  outdated(partition: number): void {
    this.options.pool.revoke([partition]);
    void this.refresh();
  }

  /** A worker was replaced and has no partitions. */
  replaced(): void {
    void this.refresh();
  }

  /** Whether the node is stopping, and has or will have no partition. */
  get isLeaving(): boolean {
    return this.#leaving;
  }

  /** Releases all partitions and takes no more. */
  async leave(): Promise<void> {
    this.#leaving = true;
    const { log } = this.options;
    const released = this.#releaseAll().catch((error) => {
      log.warn("releasing partitions failed, others wait for the end of the lease", { error });
    });
    // A commit that takes long keeps its partition.
    await within(LEAVE_MS, released);
  }

  [Symbol.dispose](): void {
    this.#leaving = true;
    clearTimeout(this.#leaseEnd);
  }

  #check(): void {
    this.#shortenLeases();
    this.#watchLeases();
    if (this.#leaving || !this.options.takes()) return;
    if (this.#balancing) {
      this.#again = true;
      return;
    }
    this.#balancing = this.#balance().catch((error) => {
      this.options.log.warnOften("taking partitions failed, retrying", {}, { error });
    }).finally(() => {
      this.#balancing = undefined;
      if (this.#again) {
        this.#again = false;
        this.#check();
      }
    });
  }

  /** The clock of the database was set back if another node's lease is longer than a renewal makes it. */
  #shortenLeases(): void {
    const { directory, id, sql, log } = this.options;
    const latest = performance.now() + 2 * LEASE_MS;
    if (this.#shortening || !directory.nodes.some((node) => node.id !== id && node.until > latest)) return;
    log.warn("the database's clock was set back, shortening older leases");
    this.#shortening = shortenLeases(sql, LEASE_MS).then(() => void this.refresh(), (error) => {
      log.warn("shortening leases failed, retrying", { error });
    }).finally(() => this.#shortening = undefined);
  }

  /** Looks again when the next lease of another node ends, if that is before the next renewal. */
  #watchLeases(): void {
    clearTimeout(this.#leaseEnd);
    const { directory, id } = this.options;
    const now = performance.now();
    const ends = directory.owners.filter((node) => node.id !== id).map(({ until }) => until - now);
    const next = Math.min(...ends);
    if (this.#leaving || next > Math.min(LEASE_MS, 2 * RENEW_MS)) return;
    this.#leaseEnd = setTimeout(() => void this.refresh(), Math.max(0, next) + AFTER_LEASE_MS);
  }

  async #balance(): Promise<void> {
    const { directory, pool, id, lease } = this.options;
    if (!lease.holds || !directory.isLive(id)) return;
    // Its own first: after a lapse, or after a worker was replaced.
    // Somebody raised these epochs, such as a node of an older version: what is in memory may be out of date.
    const outdated = pool.grants.filter((grant) => directory.isOutdated(grant)).map(({ partition }) => partition);
    if (outdated.length > 0) pool.revoke(outdated);
    const here = new Set(pool.grants.map(({ partition }) => partition));
    const lost = directory.ownedBy(id).filter(({ partition }) => !here.has(partition) && pool.canHost(partition));
    if (lost.length > 0) return await this.#take(lost);
    const others = directory.shares.filter((share) => share.id !== id).map(({ partitions }) => partitions);
    const free = directory.free.filter(({ partition }) => pool.canHost(partition));
    const isLate = this.#isLate(free.length > 0);
    const { take, release } = nextStep({ mine: pool.grants.length, others, free: free.length, isLate });
    if (take > 0) return await this.#take(startingAt(free, id).slice(0, take));
    if (release > 0) await this.#release(release);
  }

  /** Whether partitions have been free for long, or were a while ago. */
  #isLate(isFree: boolean): boolean {
    const now = performance.now();
    this.#freeSince = isFree ? Math.min(this.#freeSince, now) : Infinity;
    if (now - this.#freeSince > LATE_MS) this.#lateUntil = now + FORGIVE_MS;
    return now < this.#lateUntil;
  }

  async #take(wanted: readonly Grant[]): Promise<void> {
    const { sql, id, pool, log, announce } = this.options;
    const grants = await takePartitions(sql, id, wanted);
    if (grants.length > 0) {
      // The node may be stopping by now. Then the end of its lease frees them.
      pool.grant(grants);
      TAKEN.inc(grants.length);
      log.info("partitions taken", { partitions: grants.length, owned: pool.grants.length });
      announce();
    }
    await this.refresh();
  }

  async #releaseAll(): Promise<void> {
    const { sql, id, pool, directory } = this.options;
    await this.#balancing;
    await this.#release(pool.grants.length);
    // What became outdated meanwhile is not granted any more, but is still the node's.
    await releasePartitions(sql, id, directory.ownedBy(id));
  }

  async #release(count: number): Promise<void> {
    const { sql, id, pool, log, announce } = this.options;
    for (let left = count; left > 0; left -= HAND_OVER) {
      const given = pool.grants.slice(-Math.min(left, HAND_OVER));
      const partitions = given.map(({ partition }) => partition);
      await pool.finish(partitions, FINISH_MS);
      pool.revoke(partitions);
      await releasePartitions(sql, id, given);
      RELEASED.inc(given.length);
      announce();
    }
    log.info("partitions released", { partitions: count, owned: pool.grants.length });
    if (!this.#leaving) await this.refresh();
  }
}

/** Each node starts at another partition, so that two nodes rarely try to take the same one. */
function startingAt(free: readonly Grant[], id: string): Grant[] {
  const start = parseInt(id.slice(0, 8), 16) % free.length;
  return [...free.slice(start), ...free.slice(0, start)];
}
