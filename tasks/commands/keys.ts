import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { command, constant } from "@optique/core/primitives";
import { defineTask } from "./define.ts";

const endOfInput = message`Expected one of list, rotate and reseal.`;

export const keys = defineTask(
  "keys",
  object({
    command: or(
      command("list", constant("list"), { description: message`List the signing keys, newest last` }),
      command("rotate", constant("rotate"), {
        description: message`Create a key, which signs from two minutes later; old tokens stay valid`,
      }),
      command("reseal", constant("reseal"), {
        description: message`Encrypt with SECRET_KEY what was encrypted with SECRET_KEY_PREVIOUS`,
      }),
    ),
  }, { errors: { endOfInput } }),
  { examples: ["deno task keys list", "deno task keys rotate", "deno task keys reseal"] },
);
