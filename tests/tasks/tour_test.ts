/** The README's tour, pasted into interactive shells: every command succeeds. */
import assert from "node:assert/strict";
import { call } from "../support/api.ts";
import { codesIn } from "../support/app.ts";
import { killAll } from "../support/embedded_server.ts";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";
import { childrenOf } from "../support/processes.ts";
import { until } from "../support/wait.ts";

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
  const [account = "", socket = "", rest = "", ...none] = text.split(/(?<=\nsleep \d+\n)/);
  assert.deepEqual(none, [], "nothing else takes time");
  await using pasted = new PastedInto(shell, options, folder.path);
  await pasted.write(account);
  // The pauses of the README are enough for a machine with nothing else to do.
  const mailbox = { body: { email: `robin${shell}@rookery.example`, password: `Nest-4-robin${shell}` } };
  await until("the account", () => pasted.said.includes(`"login":"robin${shell}"`), { late: () => pasted.all });
  await until("the email with the code", async () => {
    const { status, body } = await call({ url }, "POST", "/mail/inbox", mailbox);
    return status === 200 && codesIn(body.letters[0]?.text ?? "").length > 0;
  });
  await pasted.write(socket);
  await until("the socket is open", () => pasted.said.includes('"type":"hello"'), { late: () => pasted.all });
  await pasted.write(rest);
  const { said, all } = await pasted.end();
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

/** A shell that gets text as if someone pasted it. */
class PastedInto implements AsyncDisposable {
  said = "";
  #remarks = "";
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #ended: Promise<void>;

  constructor(shell: string, options: string[], cwd: string) {
    this.#child = new Deno.Command(shell, {
      args: options,
      cwd,
      env: { NO_COLOR: "1", PS1: "", PS2: "" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    const said = read(this.#child.stdout, (text) => void (this.said += text));
    const remarks = read(this.#child.stderr, (text) => void (this.#remarks += text));
    this.#ended = Promise.all([said, remarks, this.#child.status]).then(() => {});
  }

  get all(): string {
    return `${this.said}\n${this.#remarks}`;
  }

  async write(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  /** Resolves when the shell and all that it started have ended. */
  async end(): Promise<this> {
    await this.#writer.close();
    let hasEnded = false;
    void this.#ended.then(() => hasEnded = true);
    await until("the end of the shell", () => hasEnded, { late: () => this.all });
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // After a failure it may wait for a program that never ends.
    const { pid } = this.#child;
    killAll([pid, ...(await childrenOf(pid)).map((child) => child.pid)]);
    await this.#ended;
  }
}

async function read(stream: ReadableStream<Uint8Array<ArrayBuffer>>, take: (text: string) => void): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}

async function isInstalled(program: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${program}`], stdout: "null" }).output()).success;
}
