/** Calls of a node over HTTP. Every answer is checked against the OpenAPI document of the node. */
import assert from "node:assert/strict";
import { Contract, slugOf } from "./contract.ts";

// deno-lint-ignore no-explicit-any -- the contract checks the shape
export type Json = any;

/** A node by its address, which may change at a restart. */
export interface Node {
  readonly url: string;
  /** The output of its process, for messages of failures. */
  readonly output?: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  body: Json;
  /** Of a problem. */
  slug: string | undefined;
}

export interface CallOptions {
  token?: string | undefined;
  /** Sent as JSON; a string and a form go as they are. */
  body?: unknown;
  headers?: Record<string, string> | undefined;
  /** This call is not in the document on purpose. */
  undeclared?: boolean;
  /** The node with the document, for a node without one. */
  declaredBy?: Node;
}

const PREFIX = "/api/v1";

/** `path` is under `/api/v1` unless it names another root. Throws where the connection breaks. */
export async function call(node: Node, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { token, body, headers = {}, undeclared = false, declaredBy = node } = options;
  const full = /^\/(\.well-known|healthz|readyz|metrics|openapi\.json|asyncapi\.json|docs)/.test(path)
    ? path
    : PREFIX + path;
  const contract = full.startsWith(PREFIX) && !undeclared ? await contractOf(declaredBy.url) : undefined;
  const response = await fetch(node.url + full, {
    method,
    redirect: "manual",
    headers: {
      ...(body === undefined || body instanceof FormData ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined
      ? {}
      : { body: typeof body === "string" || body instanceof FormData ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  const parsed: Json = text === "" ? undefined : isJson ? JSON.parse(text) : text;
  const answer = { status: response.status, headers: response.headers, body: parsed, slug: slugOf(parsed) };
  contract?.check({ method, path: full.split("?")[0]!, ...answer });
  return answer;
}

/** A call that must succeed. Returns its body. */
export async function ok(node: Node, method: string, path: string, options: CallOptions = {}): Promise<Json> {
  const { status, body } = await call(node, method, path, options);
  const failure = `${method} ${path} is ${status}: ${JSON.stringify(body)}`;
  assert.ok(status >= 200 && status < 300, node.output ? `${failure}\n${node.output.slice(-2_000)}` : failure);
  return body;
}

const byUrl = new Map<string, Promise<Contract>>();
/** Compiling the schemas takes long, and most nodes of a process have the same document. */
const byText = new Map<string, Contract>();

/** The document of the node at this address, read once. */
export async function contractOf(url: string): Promise<Contract> {
  const known = byUrl.get(url);
  if (known) return await known;
  const reading = readContract(url);
  byUrl.set(url, reading);
  reading.catch(() => byUrl.delete(url));
  return await reading;
}

async function readContract(url: string): Promise<Contract> {
  const response = await fetch(`${url}/openapi.json`);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}/openapi.json is ${response.status}: ${text}`);
  const contract = byText.get(text) ?? new Contract(JSON.parse(text));
  byText.set(text, contract);
  return contract;
}
