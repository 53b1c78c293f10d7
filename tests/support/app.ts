/**
 * A whole node for tests, spoken to through a real port, with a fresh database on the run's server, and Redis and NATS
 * where the run has them. Every answer is held against the OpenAPI document.
 */
import assert from "node:assert/strict";
import { hash } from "@node-rs/argon2";
import { readConfig } from "../../config.ts";
import type { AppContext } from "../../context.ts";
import type { AccountRole } from "../../db/account_role.ts";
import { Log } from "../../lib/log.ts";
import { type NodeOptions, type RunningNode, startNode } from "../../workers/roles/node.ts";
import { accountRow } from "../../routes/users.ts";
import { deviceOf } from "../../security/devices.ts";
import { newId } from "../../lib/ids.ts";
import { type Answer, call, type CallOptions, contractOf, type Json, ok } from "./api.ts";
import { endOfBatch, isInBatch, whenBatchEnds } from "./batch.ts";
import type { Contract } from "./contract.ts";
import { Listener } from "./listener.ts";
import { freshDatabase } from "./database.ts";
import { emptyFolder } from "./node_process.ts";
import { ADMIN, administrator, newLogin, PASSWORD, Person, registration, signIn } from "./person.ts";
import { readyPost } from "./ready_post.ts";
import { until } from "./wait.ts";

type Env = Record<string, string | undefined>;
/** A person, or one of their sessions. */
type Caller = Pick<Person, "token">;

let common: TestApp | undefined;
let started: Promise<void> | undefined;

/**
 * One for all files of a batch: each test makes its own people and looks at what is theirs. A file that needs settings
 * of its own, or looks at all there is, has `ownApp`.
 */
export function sharedApp(): TestApp {
  const app = common ??= new TestApp(ALL_ROLES);
  Deno.test.beforeAll(() => started ??= startShared(app));
  if (!isInBatch()) Deno.test.afterAll(endOfBatch);
  return app;
}

async function startShared(app: TestApp): Promise<void> {
  await app.start();
  whenBatchEnds(() => app[Symbol.asyncDispose]());
}

/** For a node whose tests need emails, crops or statistics, each of which is a process more. */
export const ALL_ROLES = { ROLES: "all" };

/** One for all tests of a file; without `ALL_ROLES` it has no jobs and no statistics. */
export function ownApp(overrides: Env = {}): TestApp {
  const app = new TestApp(overrides);
  Deno.test.beforeAll(() => app.start());
  Deno.test.afterAll(() => app[Symbol.asyncDispose]());
  return app;
}

/** Like `ownApp`, for one test. */
export async function startApp(overrides: Env = {}, intervals: NodeOptions["intervals"] = {}): Promise<TestApp> {
  const app = new TestApp(overrides, intervals);
  await app.start();
  return app;
}

/** The cheapest hash: signing in to accounts of `person` costs little. */
const CHEAP = { algorithm: 2, memoryCost: 8, timeCost: 1, parallelism: 1 };
let passwordHash: Promise<string> | undefined;

export class TestApp implements AsyncDisposable {
  #node!: RunningNode;
  #contract!: Contract;
  #admin: Promise<Person> | undefined;
  #stack = new AsyncDisposableStack();

  constructor(private readonly overrides: Env, private readonly intervals: NodeOptions["intervals"] = {}) {}

  get ctx(): AppContext {
    return this.#node.ctx;
  }
  get url(): string {
    return this.#node.url;
  }
  get contract(): Contract {
    return this.#contract;
  }

  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.#stack.disposeAsync();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const config = readConfig({
      PORT: "0",
      WORKERS: "2",
      ROLES: "api,actors,storage,kv",
      RATE_LIMITS: "off",
      SECRET_KEY: "a secret for tests only, long enough",
      ADMIN_LOGIN: ADMIN.login,
      ADMIN_PASSWORD: ADMIN.password,
      ADMIN_EMAIL: ADMIN.email,
      ...this.overrides.DATA_DIR === undefined ? await freshServices(this.#stack) : {},
      ...this.overrides,
    });
    this.#node = await startNode(config, new Log("error"), { checkReads: true, intervals: this.intervals });
    this.#stack.defer(() => this.#node.stop());
    this.#contract = await contractOf(this.url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    return call(this, method, path, options);
  }

  ok(method: string, path: string, options: CallOptions = {}): Promise<Json> {
    return ok(this, method, path, options);
  }

  /** A call that must be rejected for this reason. Returns the problem. */
  async refused(slug: string, method: string, path: string, options: CallOptions = {}): Promise<Json> {
    const answer = await this.call(method, path, options);
    assert.equal(answer.slug, slug, `${method} ${path} is ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Registers, reads the code in the mailbox, and verifies. */
  async register(login = newLogin()): Promise<Person> {
    const fields = registration(login);
    const account = await this.ok("POST", "/users", { body: fields });
    const tokens = await this.signIn(login);
    await this.ok("POST", "/security/verify", {
      token: tokens.token,
      body: { code: await this.code(fields.email!) },
    });
    return Object.assign(new Person(this, login), { id: account.id, page_id: account.page_id, ...tokens });
  }

  /** Registers directly through the actor, for tests of other behaviour. */
  async person(options: { role?: AccountRole; verified?: boolean; login?: string } = {}): Promise<Person> {
    const { role = "user", verified = true, login = newLogin() } = options;
    const fields = {
      ...registration(login),
      id: newId(),
      password_hash: await (passwordHash ??= hash(PASSWORD, CHEAP)),
    };
    const row = accountRow(this.ctx, fields as unknown as Parameters<typeof accountRow>[1], verified, role);
    await this.ctx.actors.ask("user", row.id, "register", { row });
    const session = await this.ctx.actors.ask("user", row.id, "sign_in", {
      sid: newId(),
      kid: this.ctx.keys.currentKid,
      password_version: 1,
      expires_at: new Date(Date.now() + this.ctx.config.REFRESH_TOKEN_TTL).toISOString(),
      device: deviceOf(this.ctx.secret, row.id, "a test"),
      job: newId(),
    });
    const { access_token, refresh_token } = this.ctx.tokens.mint({
      user_id: row.id,
      sid: session.id,
      gen: session.generation,
      issued_at_s: Math.floor(Date.parse(session.issued_at) / 1000),
      kid: session.kid,
    });
    const { id, email, page_id } = row;
    return Object.assign(new Person(this, login), { id, email, page_id, token: access_token, refresh_token });
  }

  people(count: number): Promise<Person[]> {
    return Promise.all(Array.from({ length: count }, () => this.person()));
  }

  moderator(): Promise<Person> {
    return this.person({ role: "moderator" });
  }

  /** The first administrator, signed in once; again where a test has signed in by another way, or time has passed. */
  async admin(): Promise<Person> {
    const known = this.#admin;
    if (known) {
      const admin = await known;
      if ((await this.call("GET", "/users/me", { token: admin.token })).status === 200) return admin;
    }
    // Concurrent callers share one sign-in.
    if (this.#admin === known) this.#admin = administrator(this);
    return await this.#admin!;
  }

  signIn(login: string, password = PASSWORD): Promise<{ token: string; refresh_token: string }> {
    return signIn(this, login, password);
  }

  /** A page of this person. */
  page({ token }: Caller, fields: Record<string, unknown> = {}): Promise<Json> {
    return this.ok("POST", "/pages", { token, body: { name: "A page", ...fields } });
  }

  /** Posts on the personal page by default. Returns the post when its photos are ready. */
  async post(
    { token, page_id }: Caller & Pick<Person, "page_id">,
    fields: Record<string, unknown> = {},
    page = page_id,
  ): Promise<Json> {
    const post = await this.ok("POST", `/pages/${page}/posts`, { token, body: { text: "A post", ...fields } });
    return await readyPost(this, token, post);
  }

  async follow({ token }: Caller, page: string): Promise<string> {
    return (await this.ok("PUT", `/pages/${page}/follow`, { token })).state;
  }

  async letters(email: string, password = PASSWORD): Promise<Json[]> {
    return (await this.ok("POST", "/mail/inbox", { body: { email, password } })).letters;
  }

  /** Waits for this many emails, and returns the code of the newest. */
  async code(email: string, { letters: least = 1, password = PASSWORD } = {}): Promise<string> {
    const letters = await until(`${least} emails to ${email}`, async () => {
      const found = await this.letters(email, password);
      return found.length >= least ? found : undefined;
    });
    return codesIn(letters[0].text)[0]!;
  }

  /** By an access token, or with `{ ticket }` as a browser does. */
  listen(by: string | { ticket: string }, cursor?: string): Promise<Listener> {
    return Listener.open({ node: this, ...(typeof by === "string" ? { token: by } : by) }, cursor);
  }
}

/**
 * Empty stores of one installation, gone with `stack`; given as settings, several nodes may use them one after another.
 */
export async function freshServices(stack: AsyncDisposableStack): Promise<Env> {
  return {
    DATA_DIR: stack.use(await emptyFolder()).path,
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: Deno.env.get("TEST_REDIS_URL"),
    NATS_URL: Deno.env.get("TEST_NATS_URL"),
  };
}

/** Words of eight characters `A–Z0–9`. */
export function codesIn(text: string): string[] {
  return text.match(/(?<![A-Za-z0-9])[A-Z0-9]{8}(?![A-Za-z0-9])/g) ?? [];
}
