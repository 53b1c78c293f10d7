/** A person who calls a node in any process, by its address. */
import { type Answer, call, type Json, type Node, ok } from "./api.ts";
import { inBatches } from "./in_batches.ts";
import { readyPost } from "./ready_post.ts";

export const PASSWORD = "Correct-Horse1";
export const ADMIN = { login: "admin", password: "Admin-Horse-1", email: "admin@rookery.test" };
let logins = 0;

export class Person {
  id = "";
  email: string;
  /** The personal page. */
  page_id = "";
  token = "";
  refresh_token = "";

  constructor(readonly node: Node, readonly login: string, public password: string = PASSWORD) {
    this.email = registration(login).email!;
  }

  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> {
    return call(this.node, method, path, { token: this.token, body, headers });
  }

  /** A call that must succeed. Returns its body. */
  do(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Json> {
    return ok(this.node, method, path, { token: this.token, body, headers });
  }

  /** Returns the post when its photos are ready. */
  async post(text: string, more: Record<string, unknown> = {}, page: string = this.page_id): Promise<Json> {
    return await readyPost(this.node, this.token, await this.do("POST", `/pages/${page}/posts`, { text, ...more }));
  }

  async signIn(): Promise<this> {
    Object.assign(this, await signIn(this.node, this.login, this.password));
    const { id, email, page_id } = await this.do("GET", "/users/me");
    return Object.assign(this, { id, email, page_id });
  }

  /** The same person, in the same session, at another node. */
  at(node: Node): Person {
    const { id, email, page_id, token, refresh_token } = this;
    const there = new Person(node, this.login, this.password);
    return Object.assign(there, { id, email, page_id, token, refresh_token });
  }
}

export async function signIn(
  node: Node,
  login: string,
  password = PASSWORD,
): Promise<{ token: string; refresh_token: string }> {
  const body = await ok(node, "POST", "/security/login", { body: { login, password } });
  return { token: body.access_token, refresh_token: body.refresh_token };
}

/** Registers and signs in people through the API, a few at a time, since passwords are slow. */
export async function makePeople(node: Node, count: number, prefix = "person"): Promise<Person[]> {
  const people = Array.from({ length: count }, (_, i) => new Person(node, `${prefix}${i}`));
  await inBatches(people, 4, async (person) => {
    await ok(node, "POST", "/users", { body: registration(person.login) });
    await person.signIn();
  });
  return people;
}

/** The first administrator, with a new session. */
export async function administrator(node: Node): Promise<Person> {
  return await new Person(node, ADMIN.login, ADMIN.password).signIn();
}

/** A login that is unique in this run. */
export function newLogin(word = "p"): string {
  return `${word}${(++logins).toString(36)}x${crypto.randomUUID().slice(0, 8)}`;
}

export function registration(login = newLogin()): Record<string, string> {
  return { login, password: PASSWORD, first_name: "Ada", last_name: "Lovelace", email: `${login}@rookery.test` };
}
