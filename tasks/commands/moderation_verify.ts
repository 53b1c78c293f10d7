import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import type { ValueParser } from "@optique/core/valueparser";
import type { ChainEnd } from "../../db/moderation_log.ts";
import { defineTask } from "./define.ts";

export const moderationVerify = defineTask(
  "moderation:verify",
  object({
    known: optional(option("--known", chainEnd(), {
      description: message`An end of the chain that was printed earlier, which must still be part of it`,
    })),
  }),
  {
    examples: ["deno task moderation:verify"],
    notes: ["Keep the end that is printed somewhere else: it shows whether the whole chain was written again."],
  },
);

function chainEnd(): ValueParser<"sync", ChainEnd> {
  return {
    mode: "sync",
    metavar: "NUMBER:HASH",
    placeholder: { seq: 1, hash: "" },
    parse: (input) => {
      const [, seq, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(input) ?? [];
      return seq !== undefined && hash !== undefined
        ? { success: true, value: { seq: Number(seq), hash } }
        : { success: false, error: message`Expected a number, a colon and 64 hexadecimal digits, got ${input}.` };
    },
    format: ({ seq, hash }) => `${seq}:${hash}`,
  };
}
