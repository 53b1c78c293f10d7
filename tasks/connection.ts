/** Where the installation is and who asks it, as the command line says. */
import { fail } from "./terminal.ts";

const text = { type: "string" } as const;
/** For `parseArgs`. */
export const CONNECTION_OPTIONS = { url: text, login: text, password: text, token: text };

/** Other users see a command line, so the password and the token may stand in the environment instead. */
export interface Connection {
  base: string;
  login: string | undefined;
  password: string | undefined;
  token: string | undefined;
}

/** Ends the task with `usage` and 2 where something is missing. */
export function connectionOf(
  values: { [name in keyof typeof CONNECTION_OPTIONS]?: string },
  usage: string,
): Connection {
  const base = (values.url ?? "http://127.0.0.1:8000").replace(/\/+$/, "");
  if (!/^https?:$/.test(URL.parse(base)?.protocol ?? "")) fail(`--url: expected http:// or https://\n${usage}`, 2);
  const { login } = values;
  const password = values.password ?? Deno.env.get("ROOKERY_PASSWORD");
  const token = login === undefined ? values.token ?? Deno.env.get("ROOKERY_TOKEN") : undefined;
  if ((login === undefined || password === undefined) && token === undefined) fail(usage, 2);
  return { base, login, password, token };
}
