/** Fills a running installation with a small, plausible data set through the public API. */
import { readCommandLine } from "../lib/command_line.ts";
import { demo } from "./commands/demo.ts";
import { Client } from "./client.ts";
import { Fill } from "./demo/fill.ts";
import { makeWorld } from "./demo/world.ts";
import { fail, harmless, remark, say, styled } from "./terminal.ts";

const options = readCommandLine(demo);
const { url: base, users, posts, seed, password } = options;
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
  fail(`\nThe demo failed: ${harmless(error instanceof Error ? error.message : String(error))}`);
}
