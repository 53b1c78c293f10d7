import { object, or, tuple } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { CONNECTION, CONNECTION_NOTES, EXIT_CODES_NOTE } from "./connection.ts";
import { defineTask } from "./define.ts";
import { jsonText } from "./values.ts";

const key = () => argument(string({ metavar: "KEY" }), { description: message`A key` });
const noMatch = message`Expected one of get, put, rm and ls.`;
const tooFew = message`Expected at least one key.`;

export const kv = defineTask(
  "kv",
  object({
    command: or(
      command(
        "get",
        object({ verb: constant("get"), keys: multiple(key(), { min: 1, errors: { tooFew } }) }),
        { description: message`Print values, in the order of the keys, as they were written` },
      ),
      command(
        "put",
        object({
          verb: constant("put"),
          pairs: multiple(
            tuple([key(), argument(jsonText(), { description: message`Its value, as JSON` })]),
            { min: 1, errors: { tooFew } },
          ),
        }),
        { description: message`Write or overwrite values: all of them or none` },
      ),
      command(
        "rm",
        object({ verb: constant("rm"), keys: multiple(key(), { min: 1, errors: { tooFew } }) }),
        { description: message`Remove keys` },
      ),
      command(
        "ls",
        object({
          verb: constant("ls"),
          prefix: withDefault(
            argument(string({ metavar: "PREFIX" }), { description: message`Only keys that begin with this` }),
            "",
            { message: message`all keys` },
          ),
        }),
        { description: message`List keys, each as a JSON string` },
      ),
      { errors: { noMatch } },
    ),
    ...CONNECTION,
    shared: option("--shared", { description: message`The space of all accounts in place of the account's own` }),
  }, { errors: { endOfInput: noMatch } }),
  {
    examples: [
      `deno task kv put --login robin mood '"busy"' nest '{"twigs":12}'`,
      "deno task kv get --login robin mood nest",
      "deno task kv ls --login robin --shared nest",
      "deno task kv rm --login robin mood",
    ],
    notes: ["What begins with - goes after --.", ...CONNECTION_NOTES, EXIT_CODES_NOTE],
  },
);
