/** Reads and writes the key–value store of a running installation. */
import { readCommandLine } from "../lib/command_line.ts";
import { kv } from "./commands/kv.ts";
import { membersOf } from "../services/kv/members.ts";
import { Client, Problem } from "./client.ts";
import { type Connection, connectionOf } from "./connection.ts";
import { fail, harmless, remark, say, styled } from "./terminal.ts";

const EXIT = { failed: 1, session: 3, blocked: 4 } as const;
const PAGE_LENGTH = 100;

type Act = (client: Client, space: "own" | "shared") => Promise<void>;

interface Page {
  items: { key: string }[];
  next_cursor: string | null;
}

const options = readCommandLine(kv);
const act = actOf(options.command);
const connection = connectionOf(kv, options);
try {
  await act(await connect(connection), options.shared ? "shared" : "own");
} catch (error) {
  const message = harmless(error instanceof Error ? error.message : String(error));
  if (!(error instanceof Problem)) fail(message, EXIT.failed);
  if (error.slug === "account-blocked") fail("The account is blocked", EXIT.blocked);
  fail(message, error.status === 401 ? EXIT.session : EXIT.failed);
}

async function connect({ base, login, password, token }: Connection): Promise<Client> {
  const client = new Client(base, {}, token === undefined ? undefined : { access_token: token });
  if (login === undefined) return client;
  remark(styled("dim", `Signing in as ${login}: this ends the account's other session`, Deno.stderr));
  await client.signIn(login, password!);
  return client;
}

function get(keys: readonly string[]): Act {
  return async (client, space) => {
    const text = await client.callText("POST", "/kv/read", JSON.stringify({ keys, space }));
    const { keys: found, values } = membersOf(text, 2)!.inner[0]!;
    const byKey = new Map(found.map((key, i) => [key, values[i]!]));
    for (const key of keys) say(shown(byKey.get(key)!));
  };
}

function put(pairs: readonly (readonly [key: string, json: string])[]): Act {
  const members = pairs.map(([key, json]) => `${JSON.stringify(key)}:${json}`);
  return async (client, space) => {
    const body = `{"space":"${space}","mode":"overwrite","data":{${members.join()}}}`;
    await client.callText("POST", "/kv/write", body);
  };
}

function remove(keys: readonly string[]): Act {
  return async (client, space) => {
    const { ignored } = await client.call<{ ignored: string[] }>("POST", "/kv/delete", { keys, space });
    for (const key of ignored) remark(`There was no key ${harmless(JSON.stringify(key))}`);
  };
}

function list(prefix: string): Act {
  return async (client, space) => {
    let cursor: string | null = "";
    do {
      const query = new URLSearchParams({ space, prefix, limit: String(PAGE_LENGTH), ...(cursor && { cursor }) });
      const page: Page = await client.call("GET", `/kv/keys?${query}`);
      for (const { key } of page.items) say(shown(JSON.stringify(key)));
      cursor = page.next_cursor;
    } while (cursor !== null);
  };
}

/** On a terminal, control characters are escaped. They occur in strings only, so the JSON stays the same. */
function shown(json: string): string {
  if (!Deno.stdout.isTerminal()) return json;
  const escaped = json.replaceAll(
    /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return escaped.replaceAll("\r", "");
}

function actOf(command: typeof options.command): Act {
  switch (command.verb) {
    case "get":
      return get(command.keys);
    case "put":
      return put(command.pairs);
    case "rm":
      return remove(command.keys);
    case "ls":
      return list(command.prefix);
  }
}
