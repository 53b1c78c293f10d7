import { z } from "zod";
import type { Config } from "../config.ts";
import { CLOSE_CODES, FRAMES } from "../live/frame_schemas.ts";
import { PREFIX } from "./http/endpoint.ts";

type Json = Record<string, unknown>;

/** The AsyncAPI 3 document of the live socket, generated from the frame schemas. */
export function asyncApiDocument({ PUBLIC_URL }: Pick<Config, "PUBLIC_URL">): Json {
  const messages: Json = {};
  const schemas: Json = {};
  for (const [name, schema] of Object.entries(FRAMES)) {
    const { $defs = {}, $schema: _, ...payload } = z.toJSONSchema(schema, { unrepresentable: "any", override }) as
      & Json
      & {
        $defs?: Json;
      };
    for (const [id, definition] of Object.entries($defs)) schemas[id] ??= moved(definition);
    const description = schema.meta()?.description;
    messages[name] = { name, title: description, contentType: "application/json", payload: moved(payload) };
  }
  const ofChannel = (name: string) => ({ $ref: `#/channels/live/messages/${name}` });
  const url = PUBLIC_URL === undefined ? undefined : new URL(PUBLIC_URL);
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Rookery's live feed",
      version: "1.0.0",
      description: "Live updates of the feed. Clients send no messages.",
    },
    defaultContentType: "application/json",
    ...(url && { servers: { rookery: serverOf(url) } }),
    channels: {
      live: {
        address: `${PREFIX}/feed/live`,
        description: "Authenticated by the Authorization header, or by a ticket of POST /feed/ticket",
        messages: Object.fromEntries(
          Object.keys(FRAMES).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
        bindings: {
          ws: {
            method: "GET",
            query: {
              type: "object",
              properties: {
                ticket: { type: "string", description: "Single use, 30 seconds" },
                cursor: {
                  type: "string",
                  description: "The cursor of the last received frame; missed events are sent first",
                },
              },
            },
            bindingVersion: "0.1.0",
          },
        },
        "x-close-codes": CLOSE_CODES,
      },
    },
    operations: {
      tell: {
        action: "send",
        channel: { $ref: "#/channels/live" },
        summary: "Frames that Rookery sends to a listener",
        messages: Object.keys(FRAMES).map(ofChannel),
      },
    },
    components: { messages, schemas },
  };
}

function serverOf({ host, protocol }: URL): Json {
  return { host, protocol: protocol === "https:" ? "wss" : "ws" };
}

function moved(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'));
}

/** A schema's own id is not a JSON Schema keyword. */
function override({ jsonSchema }: { jsonSchema: Json }): void {
  delete jsonSchema["id"];
}
