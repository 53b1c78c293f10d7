/** Nodes come and go; each decides alone what to take and what to give up. */
import assert from "node:assert/strict";
import { nextStep, type Shares, type Step } from "../../actors/runtime/balance.ts";
import { PARTITIONS } from "../../db/partitions.ts";
import { type Seeded, seededTest } from "../support/seeded.ts";

const TABLE: [what: string, shares: Shares, step: Step][] = [
  ["alone, it takes all", { mine: 0, others: [], free: 64, isLate: false }, { take: 64, release: 0 }],
  ["alone with all, it does nothing", { mine: 64, others: [], free: 0, isLate: false }, { take: 0, release: 0 }],
  ["for a newcomer it gives up half", { mine: 64, others: [0], free: 0, isLate: false }, { take: 0, release: 32 }],
  ["a newcomer takes its share of what is free", { mine: 0, others: [64], free: 8, isLate: false }, {
    take: 8,
    release: 0,
  }],
  ["what is given up for a newcomer is not taken back", { mine: 32, others: [24], free: 8, isLate: false }, {
    take: 0,
    release: 0,
  }],
  ["what nobody below the share takes for long is shared by the others", {
    mine: 21,
    others: [21, 20],
    free: 2,
    isLate: true,
  }, { take: 2, release: 0 }],
  ["a node above its share gives one for a node below it", { mine: 22, others: [22, 20], free: 0, isLate: false }, {
    take: 0,
    release: 1,
  }],
  ["a node above its share keeps it if none is needed", { mine: 22, others: [21, 21], free: 0, isLate: false }, {
    take: 0,
    release: 0,
  }],
  ["with more nodes than partitions some have none", {
    mine: 0,
    others: Array<number>(64).fill(1),
    free: 0,
    isLate: false,
  }, { take: 0, release: 0 }],
];

for (const [what, shares, step] of TABLE) {
  Deno.test(`A node knows its next step: ${what}`, () => assert.deepEqual(nextStep(shares), step));
}

/** The shares of nodes, and what is free. */
class Nodes {
  shares: number[] = [];
  released = 0;

  get free(): number {
    return PARTITIONS - this.shares.reduce((sum, share) => sum + share, 0);
  }

  view(node: number, shares = this.shares, free = this.free): Shares {
    return { mine: this.shares[node]!, others: shares.filter((_, other) => other !== node), free, isLate: false };
  }

  /** False if there was nothing to do. Others may have been faster. */
  act(node: number, { take, release }: Step): boolean {
    const least = Math.floor(PARTITIONS / this.shares.length);
    assert.ok(take === 0 || release === 0, "it takes and gives up at once");
    assert.ok(release === 0 || this.shares[node]! - release >= least, "it gives up what it needs");
    const taken = Math.min(take, this.free);
    this.shares[node]! += taken - release;
    this.released += release;
    return taken > 0 || release > 0;
  }

  /** Each in turn decides by what is so now, until none has a step left. */
  settle(random: Seeded): void {
    this.released = 0;
    for (let round = 0, isQuiet = false; !isQuiet; round++) {
      assert.ok(round < 40, `endless: ${this.shares}`);
      isQuiet = true;
      for (const node of shuffled(random, this.shares.length)) {
        if (this.act(node, nextStep(this.view(node)))) isQuiet = false;
      }
    }
  }

  /** All decide by what was so when the round began. */
  settleTogether(random: Seeded): void {
    this.released = 0;
    for (let round = 0, isQuiet = false; !isQuiet; round++) {
      assert.ok(round < 40, `endless: ${this.shares}`);
      const [shares, free] = [[...this.shares], this.free];
      const steps = shares.map((_, node) => nextStep(this.view(node, shares, free)));
      isQuiet = steps.every(({ take, release }) => take === 0 && release === 0);
      for (const node of shuffled(random, shares.length)) this.act(node, steps[node]!);
    }
  }

  isEven(): void {
    assert.equal(this.free, 0, `left over: ${this.shares}`);
    assert.ok(Math.max(...this.shares) - Math.min(...this.shares) <= 1, `${this.shares}`);
  }
}

function shuffled(random: Seeded, count: number): number[] {
  return Array.from({ length: count }, (_, i) => ({ i, at: random.next() })).sort((a, b) => a.at - b.at)
    .map(({ i }) => i);
}

/** Nodes join, and leave or die with what they have. */
function change(random: Seeded, nodes: Nodes): void {
  for (let i = random.whole(1, 5); i > 0; i--) {
    if (nodes.shares.length < 2 || random.chance(0.5)) nodes.shares.push(0);
    else nodes.shares.splice(random.whole(0, nodes.shares.length - 1), 1);
  }
}

seededTest("Shares differ by at most one after any nodes have come and gone", async (random) => {
  const nodes = new Nodes();
  for (let i = 0; i < 300; i++) {
    change(random, nodes);
    if (random.chance(0.5)) nodes.settle(random);
    else nodes.settleTogether(random);
    nodes.isEven();
  }
  await Promise.resolve();
});

seededTest("Shares become even from any beginning, also while nodes decide by what is out of date", async (random) => {
  for (let i = 0; i < 300; i++) {
    const nodes = new Nodes();
    nodes.shares = Array<number>(random.whole(1, 70)).fill(0);
    for (let left = random.whole(0, PARTITIONS); left > 0; left--) {
      nodes.shares[random.whole(0, nodes.shares.length - 1)]!++;
    }
    const old = { shares: [...nodes.shares], free: nodes.free };
    for (let steps = random.whole(0, 20); steps > 0; steps--) {
      const node = random.whole(0, nodes.shares.length - 1);
      const isOld = random.chance(0.5);
      const view = isOld ? nodes.view(node, old.shares, old.free) : nodes.view(node);
      nodes.act(node, nextStep(view));
    }
    nodes.settleTogether(random);
    nodes.isEven();
  }
  await Promise.resolve();
});

seededTest("For a newcomer its share is given up, and for a node that leaves nothing", async (random) => {
  for (let count = 1; count < 20; count++) {
    const nodes = new Nodes();
    nodes.shares = Array<number>(count).fill(0);
    nodes.settle(random);
    assert.equal(nodes.released, 0, `${count} nodes began`);
    // They give up one each in any case, and may do so after others have given up enough.
    const above = nodes.shares.filter((share) => share > Math.ceil(PARTITIONS / (count + 1))).length;
    nodes.shares.push(0);
    nodes.settle(random);
    const share = nodes.shares.at(-1)!;
    assert.ok(nodes.released >= share && nodes.released <= share + above, `${nodes.released} for ${share}`);
    nodes.shares.splice(random.whole(0, count), 1);
    nodes.settle(random);
    assert.equal(nodes.released, 0, `one of ${count + 1} left`);
  }
  await Promise.resolve();
});

seededTest("Nodes that decide at the same time give up at most one each too many", async (random) => {
  for (let count = 1; count < 20; count++) {
    const nodes = new Nodes();
    nodes.shares = Array<number>(count).fill(0);
    nodes.settle(random);
    nodes.shares.push(0);
    nodes.settleTogether(random);
    assert.ok(nodes.released <= nodes.shares.at(-1)! + count, `${nodes.released} for ${nodes.shares.at(-1)}`);
  }
  await Promise.resolve();
});
