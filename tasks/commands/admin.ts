import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { withDefault } from "@optique/core/modifiers";
import { argument, command, constant } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import { defineTask } from "./define.ts";

const login = () => argument(string({ metavar: "LOGIN" }), { description: message`The account's login` });

const endOfInput = message`Expected one of list, grant, revoke and password.`;

export const admin = defineTask(
  "admin",
  object({
    command: or(
      command("list", object({ verb: constant("list") }), { description: message`List administrators and moderators` }),
      command(
        "grant",
        object({
          verb: constant("grant"),
          login: login(),
          role: withDefault(
            argument(choice(["admin", "administrator", "moderator"], { metavar: "ROLE" }), {
              description: message`The role`,
            }),
            "admin",
          ),
        }),
        { description: message`Make an account an administrator or a moderator` },
      ),
      command("revoke", object({ verb: constant("revoke"), login: login() }), {
        description: message`Make an account a user without a role; never the last administrator`,
      }),
      command("password", object({ verb: constant("password"), login: login() }), {
        description: message`Set a new password, print it once, and end the account's session`,
      }),
    ),
  }, { errors: { endOfInput } }),
  {
    examples: [
      "deno task admin list",
      "deno task admin grant robin moderator",
      "deno task admin revoke robin",
      "deno task admin password robin",
    ],
  },
);
