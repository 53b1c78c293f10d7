import type { VkFake } from "./fake.ts";
import type { Fault, FaultRule } from "./faults.ts";
import type { Switches } from "./switches.ts";
import { KINDS } from "./world.ts";

export interface Controlled {
  status: number;
  value: unknown;
}

/** The commands at `/fake`, listed there. */
const HELP = {
  "GET /fake": "this",
  "GET /fake/log": "the calls so far, without tokens; DELETE clears the log",
  "POST /fake/faults":
    '{"fault": {"kind": "error", "code": 6}, "method"?: "users.get", "holder"?: "user 101", "times"?: 1}; ' +
    "DELETE removes all",
  "PUT /fake/switches": "changes behaviour that is not confirmed of VK",
  "PUT /fake/clock": '{"frozen_at": ms | null} or {"advance_ms": ms}',
  "PUT /fake/reset": "restores the initial state",
};

/** Controls the fake over HTTP, for tests in another process and for people. */
export function control(fake: VkFake, http: string, path: string, body: string): Controlled {
  try {
    switch (`${http} ${path}`) {
      case "GET /fake":
        return done({
          help: HELP,
          switches: fake.switches,
          kinds_of_faults: FAULTS,
          faults: fake.faults.list(),
          tokens: TOKENS,
          users: users(),
        });
      case "GET /fake/log":
        return done(fake.log);
      case "DELETE /fake/log":
        return done(fake.forget());
      case "POST /fake/faults":
        return done(fake.faults.add(ruleOf(body)));
      case "DELETE /fake/faults":
        return done(fake.faults.clear());
      case "PUT /fake/switches":
        return done(Object.assign(fake.switches, switchesOf(fake.switches, body)));
      case "PUT /fake/clock":
        return done(setClock(fake, JSON.parse(body)));
      case "PUT /fake/reset":
        return done(fake.reset());
    }
  } catch (error) {
    return { status: 400, value: { error: error instanceof Error ? error.message : String(error) } };
  }
  return { status: 404, value: { error: "No endpoint has this path", help: HELP } };
}

const TOKENS = ["fake-user-<id>", "fake-service", "fake-group", "fake-expired", "fake-revoked"];

function done(value: unknown): Controlled {
  return { status: 200, value: value ?? {} };
}

function users(): unknown[] {
  return KINDS.map(({ id, kind, screen_name }) => ({ id, kind, screen_name }));
}

/** The required fields of each kind of fault and their types. */
const FAULTS: Readonly<Record<Fault["kind"], Readonly<Record<string, string>>>> = {
  "error": { code: "number" },
  "captcha": { form: "string" },
  "validation": {},
  "confirmation": {},
  "latency": { ms: "number" },
  "html": { status: "number" },
  "reset": {},
  "broken-off": {},
  "no-answer": {},
  "slow-body": {},
  "truncated": {},
  "no-response": {},
};

function ruleOf(body: string): FaultRule {
  const rule = JSON.parse(body) as { fault?: Record<string, unknown> } | null;
  const { kind, ...given } = rule?.fault ?? {};
  const needs = typeof kind === "string" && Object.hasOwn(FAULTS, kind) ? FAULTS[kind as Fault["kind"]] : undefined;
  if (!needs) throw new Error(`Expected a fault of a kind out of ${Object.keys(FAULTS).join(", ")}`);
  for (const [name, type] of Object.entries(needs)) {
    const found = typeof given[name];
    if (found !== type) throw new Error(`Expected a ${type} for "${name}" of "${kind}"`);
  }
  return rule as unknown as FaultRule;
}

function switchesOf(known: Switches, body: string): Partial<Switches> {
  const given = JSON.parse(body) as Record<string, unknown>;
  for (const [name, value] of Object.entries(given)) {
    const standard = (known as Record<string, unknown>)[name];
    if (standard === undefined) throw new Error(`Unknown switch "${name}"`);
    if (typeof value !== typeof standard) throw new Error(`Expected a ${typeof standard} for "${name}"`);
  }
  return given as Partial<Switches>;
}

function setClock(
  fake: VkFake,
  { frozen_at, advance_ms }: { frozen_at?: number | null; advance_ms?: number },
): unknown {
  if (typeof advance_ms === "number") fake.advance(advance_ms);
  else if (frozen_at === null) fake.unfreeze();
  else fake.freeze(frozen_at);
  return { now: fake.now() };
}
