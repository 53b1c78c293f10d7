/** Reads and writes the key–value store of a running installation. */
import { parseArgs } from "node:util";
import { offerHelp } from "../lib/command_line.ts";
import { membersOf } from "../services/kv/members.ts";
import { Client, Problem } from "./client.ts";
import { type Connection, CONNECTION_OPTIONS, connectionOf } from "./connection.ts";
import { fail, harmless, remark, say, styled } from "./terminal.ts";

const USAGE = `usage: deno task kv get <key>…                 the values, one after another, as they were written
       deno task kv put <key> <json> …        writes, also over what is there: all of them or none
       deno task kv rm <key>…
       deno task kv ls [prefix]               the keys, each as a JSON string
options: [--url http://127.0.0.1:8000] (--login <login> [--password <password>] | --token <token>) [--shared]

--shared means the space of all accounts instead of one's own; what begins with "-" goes after "--".
The password may stand in ROOKERY_PASSWORD instead, the token in ROOKERY_TOKEN: other users see a command line.
Signing in ends the account's other session; with --token none ends.
Ends with 0, 2 for a wrong command line, 3 when the session is over or refused, 4 when the account is blocked,
1 for anything else, as a key that is not there.`;

const EXIT = { failed: 1, usage: 2, session: 3, blocked: 4 } as const;
const PAGE_LENGTH = 100;

type Act = (client: Client, space: string) => Promise<void>;

interface Page {
  items: { key: string }[];
  next_cursor: string | null;
}

offerHelp(USAGE);
const { act, space, connection } = readArguments();
try {
  await act(await connect(connection), space);
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

function get(keys: string[]): Act {
  return async (client, space) => {
    const text = await client.callText("POST", "/kv/read", JSON.stringify({ keys, space }));
    const { keys: found, values } = membersOf(text, 2)!.inner[0]!;
    const byKey = new Map(found.map((key, i) => [key, values[i]!]));
    for (const key of keys) say(shown(byKey.get(key)!));
  };
}

function put(words: string[]): Act {
  const pairs = Array.from({ length: words.length / 2 }, (_, i) => {
    const [key, value] = [words[2 * i]!, words[2 * i + 1]!];
    if (!isJson(value)) {
      fail(`${value} is no JSON; if it is meant as a text, quote it for the shell too: '${JSON.stringify(value)}'`, 2);
    }
    return `${JSON.stringify(key)}:${value}`;
  });
  return async (client, space) => {
    const body = `{"space":"${space}","mode":"overwrite","data":{${pairs.join()}}}`;
    await client.callText("POST", "/kv/write", body);
  };
}

function remove(keys: string[]): Act {
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

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** On a terminal, characters that would steer it are escaped: they can only be in strings, so it is the same JSON. */
function shown(json: string): string {
  if (!Deno.stdout.isTerminal()) return json;
  const escaped = json.replaceAll(
    /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return escaped.replaceAll("\r", "");
}

function readArguments(): { act: Act; space: "own" | "shared"; connection: Connection } {
  let parsed;
  try {
    const options = { ...CONNECTION_OPTIONS, shared: { type: "boolean" } } as const;
    parsed = parseArgs({ args: Deno.args, options, allowPositionals: true });
  } catch (error) {
    fail(`${error instanceof Error ? error.message : error}\n${USAGE}`, EXIT.usage);
  }
  const { values, positionals: [command, ...words] } = parsed;
  const act = actOf(command, words);
  if (!act) fail(USAGE, EXIT.usage);
  return { act, space: values.shared ? "shared" : "own", connection: connectionOf(values, USAGE) };
}

function actOf(command: string | undefined, words: string[]): Act | undefined {
  if (command === "ls") return words.length < 2 ? list(words[0] ?? "") : undefined;
  if (words.length === 0) return undefined;
  if (command === "get") return get(words);
  if (command === "rm") return remove(words);
  return command === "put" && words.length % 2 === 0 ? put(words) : undefined;
}
