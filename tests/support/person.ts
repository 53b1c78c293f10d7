/** A person who speaks to a node over HTTP, and makes as many as a test needs. */
import { strict as assert } from "node:assert";
import { ADMIN_PASSWORD, type NodeProcess } from "./node_process.ts";

// deno-lint-ignore no-explicit-any -- what came over the wire; tests say what they expect of it
export type Json = any;

export interface Answer {
  status: number;
  headers: Headers;
  body: Json;
}

export const PASSWORD = "Passw0rd!-of-tests";

/** One call; the status is the caller's to judge. Throws only where the connection broke. */
export async function call(
  url: string,
  method: string,
  path: string,
  { body, token, headers = {} }: { body?: unknown; token?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

export class Person {
  token = "";
  id = "";
  /** The personal page. */
  page = "";

  constructor(readonly node: NodeProcess, readonly login: string, readonly password: string = PASSWORD) {}

  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> {
    return call(this.node.url, method, path, {
      token: this.token,
      ...(body === undefined ? {} : { body }),
      ...(headers === undefined ? {} : { headers }),
    });
  }

  /** A call that has to succeed; tells its body. */
  async do(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Json> {
    const answer = await this.call(method, path, body, headers);
    assert.ok(
      answer.status < 300,
      `${method} ${path} of ${this.login}: ${answer.status} ${JSON.stringify(answer.body)}`,
    );
    return answer.body;
  }

  post(text: string, more: Record<string, unknown> = {}, page: string = this.page): Promise<Json> {
    return this.do("POST", `/pages/${page}/posts`, { text, ...more });
  }

  async signIn(): Promise<void> {
    const { status, body } = await call(this.node.url, "POST", "/security/login", {
      body: { login: this.login, password: this.password },
    });
    assert.equal(status, 200, JSON.stringify(body));
    this.token = body.access_token;
    const me = await this.do("GET", "/users/me");
    this.id = me.id;
    this.page = me.page_id;
  }
}

/** Registered through the API and signed in, some at a time: a password costs its time. */
export async function makePeople(node: NodeProcess, count: number, prefix = "person"): Promise<Person[]> {
  const people = Array.from({ length: count }, (_, i) => new Person(node, `${prefix}${i}`));
  await inBatches(people, 4, async (person) => {
    const { status, body } = await call(node.url, "POST", "/users", { body: registration(person.login) });
    assert.equal(status, 201, JSON.stringify(body));
    await person.signIn();
  });
  return people;
}

export async function administrator(node: NodeProcess): Promise<Person> {
  const admin = new Person(node, "admin", ADMIN_PASSWORD);
  await admin.signIn();
  return admin;
}

export function registration(login: string): Record<string, string> {
  return { login, password: PASSWORD, first_name: "Ann", last_name: "Lee", email: `${login}@example.com` };
}

/** So many at a time, in order of beginning. */
export async function inBatches<Item>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: concurrency }, async () => {
    for (let i = next++; i < items.length; i = next++) await work(items[i]!, i);
  }));
}
