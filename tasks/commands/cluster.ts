import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { flag, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { defineTask } from "./define.ts";
import { seconds } from "./values.ts";

export const MAX_NODES = 16;

export const cluster = defineTask(
  "cluster",
  object({
    nodes: withDefault(
      option("--nodes", integer({ metavar: "NUMBER", min: 1, max: MAX_NODES }), {
        description: message`How many nodes, 1 to 16`,
      }),
      3,
    ),
    port: withDefault(
      option("--port", integer({ metavar: "PORT", min: 0, max: 65_535 }), {
        description: message`The port of the cluster's one address; 0 takes a free one`,
      }),
      8000,
    ),
    chaos: optional(object({
      kill: flag("--kill", { description: message`Kill a random node at an interval` }),
      every: withDefault(
        option("--every", seconds(), { description: message`The time between two kills, with --kill` }),
        "15s",
      ),
    })),
  }),
  {
    examples: ["deno task cluster", "deno task cluster --nodes 4 --port 9000 --kill --every 20s"],
    notes: [
      "Postgres is embedded. NATS and Redis are started from PATH (nats-server, redis-server), unless NATS_URL and " +
      "REDIS_URL are set. Data is kept in DATA_DIR, logs are in DATA_DIR/cluster. Other settings apply to every node.",
      "A node that ends is started again 8 seconds later. Keys on a terminal: k kills a node, s stops one in order, " +
      "a adds one, q or Ctrl-C ends the cluster.",
      "Exit codes: 0 after Ctrl-C or SIGTERM, 2 for a wrong command line, wrong settings or a missing program, " +
      "1 for any other failure.",
    ],
  },
);
