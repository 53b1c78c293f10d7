import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { withDefault } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { defineTask } from "./define.ts";

export const vkFake = defineTask(
  "vk:fake",
  object({
    port: withDefault(
      option("--port", integer({ metavar: "PORT", min: 0, max: 65_535 }), {
        description: message`The port to listen at; 0 takes a free one`,
      }),
      8090,
    ),
  }),
  {
    examples: ["deno task vk:fake --port 8091"],
    notes: [
      "GET /fake describes what it has and how to make it fail. Start Rookery with VK_API_URL=http://127.0.0.1:8090.",
    ],
  },
);
