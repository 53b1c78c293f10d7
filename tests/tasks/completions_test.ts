/** Completion with Tab, in bash and zsh on a terminal and in fish, if these are installed. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { TASK_NAMES } from "../../tasks/commands/define.ts";
import { suggestionsFor } from "../../tasks/completions/suggestions.ts";

import { boundToParent } from "../support/servers.ts";
import { until } from "../support/wait.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const ENV = { TERM: "dumb", PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}` };

/** The line before and after Tab. */
const LINES: [typed: string, completed: string][] = [
  ["deno task stats", "deno task stats:rebuild "],
  ["deno task jobs re", "deno task jobs retry "],
  ["deno task jobs list --ki", "deno task jobs list --kind "],
  ["deno task jobs list wai", "deno task jobs list waiting "],
  ["deno task vk:f", "deno task vk:fake "],
  ["deno task vk:fake --po", "deno task vk:fake --port "],
  ["deno task kv --url http://127.0.0.1:8000 --log", "deno task kv --url http://127.0.0.1:8000 --login "],
  ["deno task restore tasks/compl", "deno task restore tasks/completions/"],
  ["deno task test --fil", "deno task test --filter "],
];

/** Each binds Ctrl-G to a function that shows and clears the line. */
const SHELLS = {
  bash: {
    command: "bash --norc --noprofile -i",
    bind: `show() { printf '<<%s>>' "$READLINE_LINE"; READLINE_LINE=; READLINE_POINT=0; }; bind -x '"\\C-g": show'`,
  },
  zsh: {
    command: "zsh -f -i",
    bind: `autoload -Uz compinit; compinit -D -u; ` +
      `show() { print -rn -- "<<$BUFFER>>"; BUFFER=; }; zle -N show; bindkey '^G' show`,
  },
} as const;

for (const [name, { command, bind }] of Object.entries(SHELLS)) {
  const ignore = !isInstalled(name) || !isInstalled("script") || Deno.build.os !== "linux";
  Deno.test({ name: `${name} completes tasks, their commands, options and values`, ignore }, async () => {
    await using shell = new Terminal(command);
    await shell.run(`${bind}; source <(deno task --quiet completions ${name})`);
    for (const [typed, completed] of LINES) assert.equal(await shell.complete(typed), completed);
    // In another folder these tasks do not exist.
    await shell.run("cd /");
    assert.equal(await shell.complete("deno task jobs re"), "deno task jobs re");
  });
}

Deno.test({ name: "bash leaves other completions unchanged", ignore: !isInstalled("bash") }, async () => {
  const { stdout } = await new Deno.Command("bash", {
    args: [
      "--norc",
      "--noprofile",
      "-c",
      `
      before() { COMPREPLY=(as-before); }
      complete -F before deno
      source <(deno task --quiet completions bash)
      source <(deno task --quiet completions bash)
      COMP_WORDS=(deno ru) COMP_CWORD=1 COMP_LINE='deno ru' COMP_POINT=7
      __rookery_deno deno ru deno
      printf '%s\\n' "\${COMPREPLY[@]}"`,
    ],
    cwd: ROOT,
    env: ENV,
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "as-before\n");
});

Deno.test({ name: "fish completes tasks, their commands and options", ignore: !isInstalled("fish") }, async () => {
  const lines = ["deno task vk:f", "deno task jobs re", "deno task jobs list --ki"];
  const asked = lines.map((line) => `complete -C "${line}"`).join("; ");
  const { stdout } = await new Deno.Command("fish", {
    args: ["-N", "-c", `deno task --quiet completions fish | source; ${asked}; cd /; complete -C "deno task jobs re"`],
    cwd: ROOT,
    env: ENV,
  }).output();
  const words = new TextDecoder().decode(stdout).trim().split("\n").map((line) => line.split("\t")[0]);
  assert.deepEqual(words, ["vk:fake", "retry", "--kind"]);
});

Deno.test("Every task is suggested, and each has --help", () => {
  const names = suggestionsFor(["task", ""]).flatMap((each) => each.kind === "literal" ? [each.text] : []);
  assert.deepEqual(names, TASK_NAMES);
  for (const name of names) {
    const options = suggestionsFor(["task", name, "--"]).flatMap((each) => each.kind === "literal" ? [each.text] : []);
    assert.ok(options.includes("--help"), name);
    assert.ok(!options.includes("--fast"), name);
  }
});

function isInstalled(program: string): boolean {
  return ENV.PATH.split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

/** An interactive shell on a terminal. */
class Terminal implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #keys: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #shown = "";
  #runs = 0;

  constructor(shell: string) {
    const [program, args] = boundToParent(["script", "--quiet", "--flush", "--command", shell, "/dev/null"]);
    this.#process = new Deno.Command(program, { args, cwd: ROOT, env: ENV, stdin: "piped", stdout: "piped" }).spawn();
    this.#keys = this.#process.stdin.getWriter();
    this.#reading = this.#read();
  }

  async run(line: string): Promise<void> {
    // The echoed command differs from its output.
    const mark = ++this.#runs;
    await this.#type(`${line}; echo ran$((${mark}))\n`);
    await until(`the shell ran ${line}`, () => this.#shown.includes(`ran${mark}\r\n`), { timeoutMs: 30_000 });
  }

  /** The line after Tab. */
  async complete(typed: string): Promise<string> {
    this.#shown = "";
    await this.#type(`${typed}\t\x07`);
    await until(`the shell shows the line of ${typed}`, () => />>/.test(this.#shown), { timeoutMs: 30_000 });
    return /<<(.*)>>/s.exec(this.#shown)![1]!;
  }

  async #type(keys: string): Promise<void> {
    await this.#keys.write(new TextEncoder().encode(keys));
  }

  async #read(): Promise<void> {
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) this.#shown += text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#type("exit\n");
    await this.#keys.close();
    await Promise.all([this.#process.status, this.#reading]);
  }
}
