import { z } from "zod";
import { PROBLEMS } from "../lib/errors.ts";
import { MAX_BODY_BYTES } from "../contract/body.ts";
import { type Access, type Api, PREFIX } from "./http/endpoint.ts";
import { MAX_PHOTO_BODY_BYTES, type UploadRules } from "./http/uploads.ts";

type Json = Record<string, unknown>;

const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  instance: z.string(),
  request_id: z.string(),
  errors: z.array(z.object({ path: z.string(), rule: z.string(), message: z.string() })).optional(),
  redirect_uri: z.string().optional().meta({ description: "The page to open" }),
  captcha_sid: z.string().optional(),
  captcha_img: z.string().optional(),
  remixstlid: z.string().optional(),
}).meta({ id: "Problem" });

/** The OpenAPI 3.1 document, generated from the endpoints' validation schemas. */
export function openApiDocument({ endpoints, ctx }: Pick<Api, "endpoints" | "ctx">): Json {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    const { method, path, access, summary, tags, params, query, body, creates, answers } = endpoint;
    const responses: Json = {};
    for (const [status, { description, schema, binary }] of Object.entries(answers)) {
      responses[status] = {
        description,
        headers: RESPONSE_HEADERS,
        ...(schema && { content: { "application/json": { schema: convert(schema, "output", schemas) } } }),
        ...(binary && { content: Object.fromEntries(binary.map((type) => [type, {}])) }),
      };
    }
    if (endpoint.etag) responses["304"] = { description: "Not changed since the ETag given" };
    for (
      const status of [...problemStatuses(endpoint), ...(endpoint.uploads ? [408] : []), ...(endpoint.problems ?? [])]
    ) {
      responses[status] ??= {
        description: describe(status),
        content: { "application/problem+json": { schema: convert(Problem, "output", schemas) } },
      };
    }
    (paths[PREFIX + path] ??= {})[method] = {
      summary,
      tags,
      "x-access": access,
      operationId: `${method}${path.replaceAll(/[^A-Za-z]+(\w)?/g, (_, letter = "") => letter.toUpperCase())}`,
      ...(access === "anyone"
        ? { security: [] }
        : { security: access === "optional" ? [{}, { bearer: [] }] : [{ bearer: [] }] }),
      parameters: [
        ...parameters("path", params, schemas),
        ...parameters("query", query, schemas),
        ...(creates ? [IDEMPOTENCY_KEY] : []),
      ],
      ...(body &&
        {
          requestBody: {
            required: true,
            "x-max-bytes": endpoint.uploads ? MAX_PHOTO_BODY_BYTES : endpoint.bodyBound ?? MAX_BODY_BYTES,
            content: {
              "application/json": { schema: convert(body, "input", schemas) },
              ...(endpoint.uploads && { "multipart/form-data": { schema: formOf(endpoint.uploads) } }),
            },
          },
        }),
      responses,
    };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Rookery", version: "1.0.0", description: "A real-time social backend made of actors." },
    servers: [{ url: ctx.config.PUBLIC_URL ?? "/" }],
    paths,
    components: { schemas, securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } } },
  };
}

/** Text fields that may occur more than once are lists. */
function formOf({ files, mostFiles, fields }: UploadRules): Json {
  const file = { type: "string", contentMediaType: "application/octet-stream" };
  const text = (most: number) =>
    most === 1 ? { type: "string" } : { type: "array", items: { type: "string" }, maxItems: most };
  return {
    type: "object",
    properties: {
      ...Object.fromEntries(Object.entries(fields).map(([name, most]) => [name, text(most)])),
      [files]: mostFiles === 1 ? file : { type: "array", items: file, maxItems: mostFiles },
    },
    additionalProperties: false,
  };
}

const IDEMPOTENCY_KEY = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "The same key and body within 48 hours gets the first response again",
  schema: { type: "string", minLength: 1, maxLength: 128 },
};

const RESPONSE_HEADERS = {
  "X-Request-Id": { schema: { type: "string" } },
  "RateLimit": { description: "The state of the tightest limit", schema: { type: "string" } },
};

function parameters(place: "path" | "query", schema: z.ZodObject | undefined, schemas: Json): Json[] {
  if (!schema) return [];
  const converted = convert(schema, "input", schemas) as { properties?: Record<string, Json>; required?: string[] };
  return Object.entries(converted.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || (converted.required?.includes(name) ?? false),
    schema: property,
  }));
}

/** Named schemas move to the components. */
function convert(schema: z.ZodType, io: "input" | "output", schemas: Json): Json {
  const { $defs = {}, $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    override: closeNothing,
  }) as Json & {
    $defs?: Json;
  };
  const moved = JSON.parse(JSON.stringify(rest).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
  for (const [name, definition] of Object.entries($defs)) {
    schemas[name] ??= JSON.parse(JSON.stringify(definition).replaceAll('"#/$defs/', '"#/components/schemas/'));
  }
  const name = schema.meta()?.id;
  if (typeof name !== "string") return moved;
  schemas[name] ??= moved;
  return { $ref: `#/components/schemas/${name}` };
}

/** A dotted id inside a schema is not a JSON Schema keyword. */
function closeNothing({ jsonSchema }: { jsonSchema: Json }): void {
  delete jsonSchema["id"];
}

function problemStatuses(
  { method, access, params, body }: {
    method: string;
    access: Access;
    params?: unknown;
    body?: unknown;
  },
): number[] {
  return [
    400,
    ...(body ? [413, 415] : []),
    422,
    ...(access === "anyone" && !body ? [] : [401, 403]),
    ...(params || body ? [404] : []),
    ...(method === "get" ? [] : [409]),
    429,
    503,
    504,
  ];
}

/** The slugs that a status may have. */
function describe(status: number): string {
  const slugs = Object.entries(PROBLEMS).filter(([, [of]]) => of === status).map(([slug]) => slug);
  return slugs.length > 0 ? `Problem: ${slugs.join(", ")}` : "Problem";
}
