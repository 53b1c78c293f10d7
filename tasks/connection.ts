/** The server's address and the caller's credentials, from the command line. */
import { type CommandDefinition, refuse } from "../lib/command_line.ts";

/** The values of the options in `commands/connection.ts`. */
interface Options {
  url: string;
  login: string | undefined;
  password: string | undefined;
  token: string | undefined;
}

export interface Connection {
  base: string;
  login: string | undefined;
  password: string | undefined;
  token: string | undefined;
}

/**
 * Ends the task with 2 if there are no credentials. Secrets may come from the environment, because other users see
 * command lines.
 */
export function connectionOf(command: CommandDefinition, { url: base, login, ...given }: Options): Connection {
  const password = given.password ?? Deno.env.get("ROOKERY_PASSWORD");
  const token = login === undefined ? given.token ?? Deno.env.get("ROOKERY_TOKEN") : undefined;
  if ((login === undefined || password === undefined) && token === undefined) {
    refuse(command, "Expected --login with a password, or a token.");
  }
  return { base, login, password, token };
}
