/** Holds every answer against the OpenAPI document that the server itself serves. */
import assert from "node:assert/strict";
import { addFormats, Ajv2020, type ValidateFunction } from "../packages/ajv.ts";
import { PROBLEMS } from "../../lib/errors.ts";

interface Operation {
  "x-access": string;
  responses: Record<string, { content?: Record<string, { schema?: object }> }>;
}

export interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

export interface Exchange {
  method: string;
  /** Without its query. */
  path: string;
  status: number;
  headers: Headers;
  body: unknown;
}

export class Contract {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #validators = new Map<object, ValidateFunction>();

  constructor(readonly document: Document) {
    // deno-lint-ignore no-explicit-any -- its types know only the CommonJS shape
    (addFormats as any)(this.#ajv);
    this.#ajv.addSchema({ $id: "rookery", components: document.components });
  }

  /** `method path` of everything declared, as the document spells it. */
  operations(): { method: string; path: string; access: string }[] {
    return Object.entries(this.document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method, path, access: operation["x-access"] }))
    );
  }

  check({ method, path, status, headers, body }: Exchange): void {
    const place = `${method} ${path} → ${status}`;
    const type = headers.get("content-type")?.split(";")[0] ?? null;
    if (type === "application/problem+json") this.#checkProblem(place, path, status, body);
    const operation = this.#operation(method, path);
    assert.ok(operation, `${place}: the document does not know this call`);
    const response = operation.responses[status];
    assert.ok(response, `${place} is not declared: ${JSON.stringify(body)}`);
    if (!response.content) return assert.equal(body, undefined, `${place} has a body that is not declared`);
    assert.ok(type !== null && response.content[type], `${place} came as ${type}: ${JSON.stringify(body)}`);
    // Pictures have no schema.
    if (response.content[type].schema) this.#validate(place, response.content[type].schema, body);
  }

  #checkProblem(place: string, path: string, status: number, body: unknown): void {
    const problem = body as { type: string; status: number; instance: string };
    const slug = slugOf(problem);
    assert.ok(slug !== undefined && Object.hasOwn(PROBLEMS, slug), `${place}: the type is ${problem?.type}`);
    assert.equal(PROBLEMS[slug as keyof typeof PROBLEMS][0], status, `${place}: ${slug} has another status`);
    assert.equal(problem.status, status, place);
    assert.equal(decoded(problem.instance), decoded(path), place);
  }

  #validate(place: string, schema: object, body: unknown): void {
    let validate = this.#validators.get(schema);
    if (!validate) {
      const absolute = JSON.stringify(schema).replaceAll('"#/components/', '"rookery#/components/');
      this.#validators.set(schema, validate = this.#ajv.compile(JSON.parse(absolute)));
    }
    assert.ok(validate(body), `${place}: ${this.#ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`);
  }

  /** A path without parts to fill in wins: `/users/me` before `/users/{id}`. */
  #operation(method: string, path: string): Operation | undefined {
    const candidates = Object.entries(this.document.paths)
      .filter(([template, methods]) => methods[method.toLowerCase()] && fits(template, path))
      .sort(([a], [b]) => a.split("{").length - b.split("{").length);
    return candidates[0]?.[1][method.toLowerCase()];
  }
}

/** The last part of a problem's type; undefined for what is no problem. */
export function slugOf(body: unknown): string | undefined {
  const type = (body as { type?: unknown } | undefined)?.type;
  return typeof type === "string" ? /\/problems\/([a-z-]+)$/.exec(type)?.[1] : undefined;
}

/** A path that is no valid URI stays as it is. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function fits(template: string, path: string): boolean {
  const [wanted, given] = [template.split("/"), path.split("/")];
  return wanted.length === given.length &&
    wanted.every((part, i) => part.startsWith("{") ? given[i] !== "" : part === given[i]);
}
