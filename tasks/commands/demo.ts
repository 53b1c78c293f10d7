import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import { integer, string } from "@optique/core/valueparser";
import { URL_OPTION } from "./connection.ts";
import { defineTask } from "./define.ts";

const MAX_USERS = 3_000;
const MAX_POSTS = 100_000;
const number = (min: number, max: number) => integer({ metavar: "NUMBER", min, max });
const text = (metavar: "LOGIN" | "PASSWORD") => string({ metavar });

export const demo = defineTask(
  "demo",
  object({
    url: URL_OPTION,
    users: withDefault(
      option("--users", number(3, MAX_USERS), { description: message`How many people, 3 to 3,000` }),
      50,
    ),
    posts: withDefault(
      option("--posts", number(1, MAX_POSTS), { description: message`How many posts, 1 to 100,000` }),
      500,
    ),
    seed: withDefault(
      option("--seed", number(0, 2 ** 32 - 1), { description: message`The same seed creates the same data` }),
      1,
    ),
    password: withDefault(
      option("--password", text("PASSWORD"), { description: message`The password of all of these accounts` }),
      "Rookery-demo-1",
    ),
    admin: optional(object({
      login: option("--admin-login", text("LOGIN"), {
        description: message`An administrator, who creates the accounts where REGISTRATION=admin`,
      }),
      password: option("--admin-password", text("PASSWORD"), { description: message`The administrator's password` }),
    })),
  }),
  {
    examples: ["deno task demo --users 20 --posts 100"],
    notes: [
      "A second run with the same seed continues the first. " +
      "People register and confirm their email through the bundled mailbox. " +
      "Signing in as the administrator ends the account's other session.",
      "All accounts have the same password: do not fill an installation that strangers can reach.",
    ],
  },
);
