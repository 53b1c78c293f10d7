/** The README's tour, pasted into interactive shells: every command succeeds. */
import assert from "node:assert/strict";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";

const README = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
const SECTION = /## A first tour\n([\s\S]*?)\n## /.exec(README)![1]!;
const BLOCKS = [...SECTION.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block!);
/** Options that skip start-up files. In CI all of these shells are installed. */
const SHELLS: Record<string, string[]> = { dash: ["-i"], bash: ["--norc", "-i"], zsh: ["-f", "-i"] };

Deno.test("The tour works in sh, bash and zsh", async (t) => {
  await using node = await NodeProcess.start({ full: false });
  for (const [shell, options] of Object.entries(SHELLS)) {
    const ignore = Deno.env.get("CI") !== "true" && !await isInstalled(shell);
    await t.step({ name: shell, ignore, fn: () => takeTour(node.url, shell, options) });
  }
});

async function takeTour(url: string, shell: string, options: string[]): Promise<void> {
  await using folder = await emptyFolder();
  // A person and a page for each shell; the running Deno in place of the one from npm.
  const text = BLOCKS.join("\n").replaceAll("http://127.0.0.1:8000", url)
    .replaceAll("ws://127.0.0.1:8000", url.replace("http", "ws"))
    .replaceAll("npx --yes deno@2.9.6", Deno.execPath())
    .replaceAll("robin", `robin${shell}`).replaceAll('"nests"', `"nests-${shell}"`).replaceAll(
      "pages/nests/",
      `pages/nests-${shell}/`,
    );
  const child = new Deno.Command(shell, {
    args: options,
    cwd: folder.path,
    env: { NO_COLOR: "1", PS1: "", PS2: "" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const said = new TextDecoder().decode(stdout);
  const remarks = new TextDecoder().decode(stderr);
  const all = `${said}\n${remarks}`;
  assert.doesNotMatch(all, /not found:|command not found|unmatched|syntax error|parse error|Unterminated/i, all);
  assert.doesNotMatch(said, /"status":[45]\d\d/, all);
  for (
    const expected of [
      `"login":"robin${shell}"`,
      '"liked":true',
      '"text":"First twig of the nest"',
      '"name":"Nest building"',
      "12345678901234567890",
      '"state":"ready"',
      '"type":"hello"',
      '"type":"post.created"',
      "Live from the second twig",
      '"first_name"',
    ]
  ) assert.ok(said.includes(expected), `${shell} never showed ${expected}:\n${all}`);
}

async function isInstalled(program: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${program}`], stdout: "null" }).output()).success;
}
