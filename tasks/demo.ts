/** Fills a running installation with a small believable world, through the same API as everybody's. */
import { parseArgs } from "node:util";
import { offerHelp } from "../lib/command_line.ts";
import { Client } from "./client.ts";
import { Fill } from "./demo/fill.ts";
import { makeWorld } from "./demo/world.ts";
import { fail, harmless, remark, say, styled } from "./terminal.ts";

const USAGE =
  `usage: deno task demo [--url http://127.0.0.1:8000] [--users 50] [--posts 500] [--seed 1] [--password <password>]
                      [--admin-login <login> --admin-password <password>]

The same seed makes the same world; a second run takes up what is there. People register and confirm their e-mail through
the bundled mailbox; where REGISTRATION=admin, an administrator makes them, whose other session ends by that.
All of them have the same password: do not fill an installation that strangers can reach.`;

const MOST_USERS = 3_000;
const MOST_POSTS = 100_000;

offerHelp(USAGE);
const options = readArguments();
const { base, users, posts, seed, password } = options;
try {
  let admin: Client | undefined;
  if (options.admin) {
    const { login, password } = options.admin;
    remark(styled("dim", `Signing in as ${login}: this ends the account's other session`, Deno.stderr));
    admin = new Client(base, { attempts: 10 });
    await admin.signIn(login, password);
  }
  say(`Filling ${base}: ${users} people, ${posts} posts, seed ${seed}`);
  const world = makeWorld(users, posts, seed);
  await new Fill(world, { base, password, ...(admin ? { admin } : {}) }).run();
  say(`\nDone. Sign in as one of these at ${base}:`);
  for (const { login, first_name, last_name } of world.people.slice(0, 3)) {
    say(`  ${styled("bold", login.padEnd(24))} ${password}   (${first_name} ${last_name})`);
  }
} catch (error) {
  fail(`\nThe demo stopped: ${harmless(error instanceof Error ? error.message : String(error))}`);
}

function readArguments() {
  const text = { type: "string" } as const;
  let values;
  try {
    ({ values } = parseArgs({
      args: Deno.args,
      options: {
        url: text,
        users: text,
        posts: text,
        seed: text,
        password: text,
        "admin-login": text,
        "admin-password": text,
      },
    }));
  } catch (error) {
    fail(`${error instanceof Error ? error.message : error}\n${USAGE}`, 2);
  }
  const whole = (name: "users" | "posts" | "seed", standard: number, least: number, most: number) => {
    const given = values[name] ?? String(standard);
    const number = /^\d{1,10}$/.test(given) ? Number(given) : NaN;
    if (number >= least && number <= most) return number;
    fail(`--${name}: expected a whole number from ${least} to ${most}, got "${given}"\n${USAGE}`, 2);
  };
  const base = (values.url ?? "http://127.0.0.1:8000").replace(/\/+$/, "");
  if (!/^https?:$/.test(URL.parse(base)?.protocol ?? "")) fail(`--url: expected http:// or https://\n${USAGE}`, 2);
  const login = values["admin-login"];
  const adminPassword = values["admin-password"];
  if ((login === undefined) !== (adminPassword === undefined)) {
    fail(`--admin-login and --admin-password go together\n${USAGE}`, 2);
  }
  return {
    base,
    users: whole("users", 50, 3, MOST_USERS),
    posts: whole("posts", 500, 1, MOST_POSTS),
    seed: whole("seed", 1, 0, 2 ** 32 - 1),
    password: values.password ?? "Rookery-demo-1",
    ...(login !== undefined && adminPassword !== undefined ? { admin: { login, password: adminPassword } } : {}),
  };
}
