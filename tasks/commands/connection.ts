/** The options of tasks that speak to a running installation as one of its accounts. */
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { serverUrl } from "./values.ts";

export const URL_OPTION = withDefault(
  option("--url", serverUrl(), { description: message`Where the installation is` }),
  "http://127.0.0.1:8000",
);

/** For `object`. */
export const CONNECTION = {
  url: URL_OPTION,
  login: optional(option("--login", string({ metavar: "LOGIN" }), {
    description: message`Sign in as this account, which ends its other session`,
  })),
  password: optional(option("--password", string({ metavar: "PASSWORD" }), {
    description: message`The account's password, if it is not in ROOKERY_PASSWORD`,
  })),
  token: optional(option("--token", string({ metavar: "TOKEN" }), {
    description: message`An access token in place of signing in, if it is not in ROOKERY_TOKEN`,
  })),
};

export const CONNECTION_NOTES = [
  "Give --login with a password, or a token. Other users of the machine see a command line, " +
  "so prefer the environment for both. " +
  "Signing in ends the account's other session. A token ends none, and is not renewed.",
];

/** Exit codes of these tasks beside 0, in words for `--help`. */
export const EXIT_CODES_NOTE =
  "Exit codes: 2 for a wrong command line, 3 when the session is over or refused, 4 when the account is blocked, " +
  "1 for any other failure.";
