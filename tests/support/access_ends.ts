/** People whose access ends again and again, and whether any node accepts them after the answer. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { type Answer, call } from "./api.ts";
import type { NodeProcess } from "./node_process.ts";
import { PASSWORD, type Person } from "./person.ts";
import type { Seeded } from "./seeded.ts";

const HOW = { logout: 3, block: 2, demote: 2, login: 2, password: 1 };
type How = keyof typeof HOW;

export class AccessEnds {
  /** How often an end was acknowledged and then every node was asked. */
  rounds = 0;

  constructor(
    private readonly random: Seeded,
    private readonly nodes: readonly NodeProcess[],
    private readonly admin: Person,
    private readonly people: readonly Person[],
  ) {}

  /** Goes on until `stopped`. Rejects as soon as a node accepts somebody whose access has ended. */
  async run(stopped: () => boolean): Promise<void> {
    await Promise.all(this.people.map(async (person) => {
      while (!stopped()) await this.#round(person);
    }));
  }

  async #round(person: Person): Promise<void> {
    const { random, nodes } = this;
    const how = random.weighted(HOW);
    if (how === "demote" && !await this.#admin("PUT", `/users/${person.id}/role`, { role: "moderator" })) return;
    const token = await this.#signIn(person);
    if (token === undefined) return void await sleep(50);
    // Every node knows the session before it ends.
    const path = how === "demote" ? "/moderation/log" : "/feed";
    await Promise.all(nodes.map((node) => answered(call(node, "GET", path, { token }), 500)));
    if (await this.#end(how, person, token)) {
      await Promise.all(nodes.map((node) => this.#refused(node, path, token, how)));
      this.rounds++;
    }
    while (how === "block" && !await this.#admin("DELETE", `/users/${person.id}/block`)) await sleep(50);
  }

  /** Asked at once. A frozen node answers when it resumes. */
  async #refused(node: NodeProcess, path: string, token: string, how: How): Promise<void> {
    const answer = await call(node, "GET", path, { token }).catch(() => undefined);
    assert.ok(!answer || answer.status >= 300, `after ${how}, ${node.url} answered ${path} with ${answer?.status}`);
  }

  async #end(how: How, person: Person, token: string): Promise<boolean> {
    const node = this.random.pick(this.nodes);
    const credentials = { login: person.login, password: PASSWORD };
    switch (how) {
      case "logout":
        return await isDone(call(node, "POST", "/security/logout", { token }));
      case "login":
        return await isDone(call(node, "POST", "/security/login", { body: credentials }));
      case "password":
        return await isDone(
          call(node, "POST", "/security/password", { token, body: { current: PASSWORD, new: PASSWORD } }),
        );
      case "block":
        return await this.#admin("POST", `/users/${person.id}/block`, { reason: "a test" });
      case "demote":
        return await this.#admin("PUT", `/users/${person.id}/role`, { role: "user" });
    }
  }

  async #signIn({ login }: Person): Promise<string | undefined> {
    const node = this.random.pick(this.nodes);
    const body = { login, password: PASSWORD };
    const answer = await call(node, "POST", "/security/login", { body }).catch(() => undefined);
    return answer?.status === 200 ? answer.body.access_token : undefined;
  }

  async #admin(method: string, path: string, body?: unknown): Promise<boolean> {
    const { token } = this.admin;
    return await isDone(call(this.random.pick(this.nodes), method, path, { token, body }));
  }
}

async function isDone(calling: Promise<Answer>): Promise<boolean> {
  const answer = await calling.catch(() => undefined);
  return answer !== undefined && answer.status < 300;
}

async function answered(calling: Promise<Answer>, timeoutMs: number): Promise<void> {
  await Promise.race([calling.catch(() => {}), sleep(timeoutMs)]);
}
