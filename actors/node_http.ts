/** Calls between nodes over HTTP, encrypted with the secret that all nodes of an installation share. */
import { type HttpCaller, type NodeAnswer, type NodeCall, OutcomeUnknown, Unreachable } from "./runtime/node_calls.ts";
import type { Secret } from "../security/secret.ts";

export const NODE_CALL_PATH = "/internal/node-call";
/** A call is at most half a megabyte (`MAX_REQUEST_BYTES`); encryption adds 28 bytes. */
export const MAX_SEALED_BYTES = 512 * 1024 + 28;
const CALL = "node-call";
const ANSWER = "node-answer";

/** `<id of the call>.<keyed hash of it>`: checked before the body is read. */
export const NODE_CALL_HEADER = "rookery-node-call";
const HEADER = "node-call-header";

type Sealing = Pick<Secret, "seal" | "open">;
type Hashing = Pick<Secret, "mac" | "macMatches">;

/** A node that answers so has not begun the call: another installation, another node, or a body it did not read. */
const NOT_ACCEPTED: ReadonlySet<number> = new Set([404, 405, 408, 413, 421]);

function headerOf(secret: Hashing, id: string): string {
  return `${id}.${secret.mac(HEADER, id)}`;
}

/** The id of the call, if a process with the installation's secret makes this request. */
export function callId(secret: Hashing, header: string | undefined): string | undefined {
  const [id, mac] = (header ?? "").slice(0, 200).split(".");
  return id !== undefined && mac !== undefined && secret.macMatches(HEADER, id, mac) ? id : undefined;
}

export function sealCall(secret: Sealing, call: NodeCall): Uint8Array {
  return secret.seal(CALL, encode(call), "");
}

/**
 * Undefined if it was not encrypted with the installation's secret, or is not the call of this id. Its other fields are
 * not checked.
 */
export function openCall(secret: Sealing, id: string, sealed: Uint8Array): unknown {
  try {
    const call = decode(secret.open(CALL, sealed, ""));
    return (call as Partial<NodeCall> | null)?.id === id ? call : undefined;
  } catch {
    return undefined;
  }
}

/** Bound to the call's id, so that it is not valid for another one. */
export function sealAnswer(secret: Sealing, id: string, answer: NodeAnswer): Uint8Array {
  return secret.seal(ANSWER, encode(answer), id);
}

export function httpCaller(secret: Sealing & Hashing): HttpCaller {
  return async (url, call, timeoutMs) => {
    const sealed = sealCall(secret, call);
    if (sealed.length > MAX_SEALED_BYTES) throw new RangeError(`A call of ${sealed.length} bytes is too long`);
    let response: Response;
    try {
      response = await fetch(new URL(NODE_CALL_PATH, url), {
        method: "POST",
        headers: { "content-type": "application/octet-stream", [NODE_CALL_HEADER]: headerOf(secret, call.id) },
        body: sealed as Uint8Array<ArrayBuffer>,
        redirect: "error",
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (error) {
      if (isNotConnected(error)) throw new Unreachable(`Node ${call.to} does not accept connections`);
      throw new OutcomeUnknown(`Node ${call.to} did not answer over HTTP`, { cause: error });
    }
    if (response.status !== 200) {
      await response.body?.cancel();
      const message = `Node ${call.to} answered ${response.status}`;
      // A proxy in between may give up after it has passed the call on.
      throw NOT_ACCEPTED.has(response.status) ? new Unreachable(message) : new OutcomeUnknown(message);
    }
    try {
      return decode(secret.open(ANSWER, await response.bytes(), call.id)) as NodeAnswer;
    } catch (error) {
      throw new OutcomeUnknown(`The answer of node ${call.to} cannot be read`, { cause: error });
    }
  };
}

/** Nothing was sent: the runtime names the phase of the failure in the cause's message. */
function isNotConnected(error: unknown): boolean {
  const cause = error instanceof TypeError ? error.cause : undefined;
  return cause instanceof Error && cause.message.includes("client error (Connect)");
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function decode(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}
