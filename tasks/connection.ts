/** Where the installation is and who asks it, as the command line says. */
import { type CommandDefinition, refuse } from "../lib/command_line.ts";

/** What the options of `commands/connection.ts` give. */
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

/** Ends the task with 2 where nobody asks. Other users see a command line, so the environment may say what is secret. */
export function connectionOf(command: CommandDefinition, { url: base, login, ...given }: Options): Connection {
  const password = given.password ?? Deno.env.get("ROOKERY_PASSWORD");
  const token = login === undefined ? given.token ?? Deno.env.get("ROOKERY_TOKEN") : undefined;
  if ((login === undefined || password === undefined) && token === undefined) {
    refuse(command, "Expected --login with a password, or a token.");
  }
  return { base, login, password, token };
}
