import assert from "node:assert/strict";
import { openMailDatabase } from "./support.ts";

Deno.test("The mail process ends when its standard input closes", async () => {
  await using database = await openMailDatabase();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("../../../workers/children/mail.ts", import.meta.url).href],
    env: { MAIL_PORT: "0", DATABASE_URL: database.url },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /^\{"port":\d+\}\n$/);
  await child.stdin.close();
  const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
  assert.equal((await child.status).code, 0);
  clearTimeout(late);
  await reader.cancel();
});
