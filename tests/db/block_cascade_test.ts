/** Random blocks of pages and of their owners, compared with a small model. */
import assert from "node:assert/strict";
import {
  blockPage,
  blockUser,
  expirePageBlock,
  expireUserBlock,
  unblockPage,
  unblockUser,
} from "../../db/moderation.ts";
import { verifyChain } from "../../db/moderation_log.ts";
import { deletePage } from "../../db/pages.ts";
import { newId } from "../../lib/ids.ts";
import { ModerationWorld } from "../support/moderation_world.ts";
import { type Seeded, seededTest } from "../support/seeded.ts";

const ACTS = 250;
const HOUR_MS = 3_600_000;
const ACT_WEIGHTS = {
  "block page": 6,
  "unblock page": 4,
  "block account": 4,
  "unblock account": 4,
  "an hour passes": 4,
  "blocks expire": 5,
  "delete page": 1,
} as const;

/** The end of a block, in hours from now. An expired block stays in the table until it is lifted. */
interface Account {
  id: string;
  end: number | null;
}
interface Page {
  id: string;
  owner: Account;
  end: number | null;
  ownersEnd: number | null;
  deleted: boolean;
  told: "hidden" | "shown" | null;
}

const inForce = (end: number | null) => end !== null && end > 0;
const isVisible = ({ deleted, end, ownersEnd }: Page) => !deleted && !inForce(end) && !inForce(ownersEnd);

class History {
  accounts: Account[] = [];
  pages: Page[] = [];
  entries = 0;

  constructor(readonly world: ModerationWorld, readonly random: Seeded, readonly by: string) {}

  async begin(): Promise<void> {
    for (const login of ["ann", "bob", "eve"]) {
      const { id, page } = await this.world.account(login);
      const owner = { id, end: null };
      this.accounts.push(owner);
      const pages = [page, newId(), newId()];
      for (const more of pages.slice(1)) {
        await this.world.sql.execute(
          "insert into pages (id, owner_id, uuid, name, created_at) values ($1, $2, $3, 'more', now())",
          [more, id, `page-${more}`],
        );
      }
      for (const each of pages) {
        this.pages.push({ id: each, owner, end: null, ownersEnd: null, deleted: false, told: null });
      }
    }
  }

  async act(): Promise<string> {
    const { random, world } = this;
    const by = { by_id: this.by, by_role: "admin", reason: "a test" } as const;
    const at = new Date().toISOString();
    const account = random.pick(this.accounts);
    const page = random.pick(this.pages.filter((page) => !page.deleted));
    const end = random.chance(0.4) ? Infinity : random.whole(1, 3);
    const until = end === Infinity ? "infinity" : new Date(Date.now() + end * HOUR_MS - HOUR_MS / 2).toISOString();
    const block = { ...by, until, job: newId(), at };
    const what = random.weighted(ACT_WEIGHTS);
    switch (what) {
      case "block page":
        await world.commit(blockPage, [{ ...block, id: page.id }]);
        page.end = end;
        page.told = "hidden";
        this.entries++;
        break;
      case "unblock page":
        await world.commit(unblockPage, [{ ...by, id: page.id, at }]);
        this.#free(page);
        break;
      case "block account":
        await world.commit(blockUser, [{ ...block, id: account.id }]);
        account.end = end;
        for (const own of this.#pagesOf(account)) Object.assign(own, { ownersEnd: end, told: "hidden" });
        this.entries++;
        break;
      case "unblock account":
        await world.commit(unblockUser, [{ ...by, id: account.id, at }]);
        this.#freeAccount(account);
        break;
      case "an hour passes":
        await world.sql.script(
          `update users set blocked_until = blocked_until - interval '1 hour';
          update pages set blocked_until = blocked_until - interval '1 hour',
            owner_blocked_until = owner_blocked_until - interval '1 hour'`,
        );
        for (const each of [...this.accounts, ...this.pages]) if (each.end !== null) each.end--;
        for (const each of this.pages) if (each.ownersEnd !== null) each.ownersEnd--;
        break;
      // Like the actors, which check that the block has ended.
      case "blocks expire":
        if (page.end !== null && !inForce(page.end)) {
          await world.commit(expirePageBlock, [{ id: page.id, at }]);
          this.#free(page);
        }
        if (account.end !== null && !inForce(account.end)) {
          await world.commit(expireUserBlock, [{ id: account.id, at }]);
          this.#freeAccount(account);
        }
        break;
      case "delete page":
        if (this.pages.filter((page) => !page.deleted).length < 5) break;
        await world.commit(deletePage, [{ id: page.id, at }]);
        Object.assign(page, { deleted: true, told: "hidden" });
    }
    return what;
  }

  /** The database equals the model: visibility, blocks, events and records. */
  async check(after: string): Promise<void> {
    const rows = await this.world.sql.query<
      { id: string; visible: boolean; own: boolean; owners: boolean; told: string }
    >(
      `select p.id, exists (select from visible_pages(gen_random_uuid()) v where v.id = p.id) as visible,
        p.blocked_until is not null as own, p.owner_blocked_until is not null as owners,
        (select substr(e.kind, 6) from events e where e.page_id = p.id and e.kind in ('page.hidden', 'page.shown')
          order by e.seq desc limit 1) as told
      from pages p where p.id = any($1::uuid[]) order by p.id`,
      [this.pages.map(({ id }) => id)],
    );
    const expected = this.pages.map((page) => ({
      id: page.id,
      visible: isVisible(page),
      own: page.end !== null,
      owners: page.ownersEnd !== null,
      told: page.told,
    }));
    assert.deepEqual(rows, expected.sort((a, b) => a.id < b.id ? -1 : 1), after);
    const [end] = await this.world.sql.query<{ seq: number }>("select seq from moderation_chain");
    assert.equal(end!.seq, this.entries, after);
  }

  #pagesOf(account: Account): Page[] {
    return this.pages.filter((page) => page.owner === account && !page.deleted);
  }

  #free(page: Page): void {
    if (page.end === null) return;
    page.end = null;
    if (!inForce(page.ownersEnd)) page.told = "shown";
    this.entries++;
  }

  #freeAccount(account: Account): void {
    if (account.end === null) return;
    account.end = null;
    for (const page of this.#pagesOf(account).filter(({ ownersEnd }) => ownersEnd !== null)) {
      page.ownersEnd = null;
      if (!inForce(page.end)) page.told = "shown";
    }
    this.entries++;
  }
}

seededTest("lifting a block, or its end, restores exactly what that block hid", async (random) => {
  await using world = await ModerationWorld.open();
  const { id } = await world.account("boss", "admin");
  const history = new History(world, random, id);
  await history.begin();
  for (let i = 0; i < ACTS; i++) await history.check(`act ${i}: ${await history.act()}`);
  assert.equal((await verifyChain(world.sql)).sound, true);
  // With all blocks lifted, every remaining page is visible.
  const at = new Date().toISOString();
  const by = { by_id: id, by_role: "admin", reason: null } as const;
  for (const page of history.pages) await world.commit(unblockPage, [{ ...by, id: page.id, at }]);
  for (const account of history.accounts) await world.commit(unblockUser, [{ ...by, id: account.id, at }]);
  const seen = await world.sql.query<{ id: string }>("select id from visible_pages(gen_random_uuid())");
  const left = history.pages.filter(({ deleted }) => !deleted).map(({ id }) => id);
  assert.deepEqual(left.filter((id) => !seen.some((page) => page.id === id)), []);
});
