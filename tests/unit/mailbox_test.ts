import assert from "node:assert/strict";
import { type Mail, Mailbox, MAX_BATCH, MAX_MAILBOX } from "../../actors/runtime/mailbox.ts";
import type { Command } from "../../actors/runtime/protocol.ts";
import { WatchIndex } from "../../actors/runtime/watch_index.ts";

interface Keyed extends Command {
  key?: string;
  n?: number;
}

const mail = (command: Keyed): Mail => ({
  command,
  deadline: Infinity,
  arrived: 0,
  batchKey: command.key,
  answer: () => {},
});
/** The messages of each turn, until the mailbox is empty. */
function turns(commands: Keyed[]): string[] {
  const mailbox = new Mailbox();
  for (const command of commands) mailbox.offer(mail(command));
  const taken: string[] = [];
  for (let turn = mailbox.take(); turn.length > 0; turn = mailbox.take()) {
    taken.push(turn.map(({ command }) => `${command.type}${(command as Keyed).key ?? ""}`).join(" "));
  }
  return taken;
}

const like = (key: string) => ({ type: "like", key });
const TURNS: [string, Keyed[], string[]][] = [
  ["gives each message without a key its own turn", [{ type: "a" }, { type: "a" }, { type: "b" }], ["a", "a", "b"]],
  ["lets messages of one type with different keys share a turn", [like("1"), like("2"), like("3")], [
    "like1 like2 like3",
  ]],
  ["begins another turn at a repeated key", [like("1"), like("2"), like("1")], ["like1 like2", "like1"]],
  ["begins another turn at another type", [like("1"), { type: "unlike", key: "2" }, like("3")], [
    "like1",
    "unlike2",
    "like3",
  ]],
  ["begins another turn at a message without a key", [like("1"), { type: "like" }, like("2")], [
    "like1",
    "like",
    "like2",
  ]],
];

for (const [what, commands, expected] of TURNS) {
  Deno.test(`Mailbox ${what}`, () => assert.deepEqual(turns(commands), expected));
}

Deno.test("Mailbox lets at most MAX_BATCH messages share a turn", () => {
  const sizes = turns(Array.from({ length: MAX_BATCH + 3 }, (_, i) => like(String(i)))).map((turn) =>
    turn.split(" ").length
  );
  assert.deepEqual(sizes, [MAX_BATCH, 3]);
});

Deno.test("Mailbox is bounded, and has room again after a message is taken", () => {
  const mailbox = new Mailbox();
  for (let i = 0; i < MAX_MAILBOX; i++) assert.equal(mailbox.offer(mail({ type: "a" })), true);
  assert.equal(mailbox.offer(mail({ type: "late" })), false);
  assert.equal(mailbox.size, MAX_MAILBOX);
  mailbox.take();
  assert.equal(mailbox.offer(mail({ type: "a" })), true);
});

Deno.test("Mailbox keeps its order under continuous use", () => {
  const mailbox = new Mailbox();
  let [sent, taken] = [0, 0];
  const take = () => assert.equal((mailbox.take()[0]!.command as Keyed).n, taken++);
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 100; i++) assert.ok(mailbox.offer(mail({ type: "a", n: sent++ })));
    for (let i = 0; i < 95; i++) take();
  }
  assert.equal(mailbox.size, 250);
  while (mailbox.size > 0) take();
  assert.equal(taken, 5_000);
  assert.deepEqual(mailbox.take(), []);
});

Deno.test("WatchIndex knows the current watchers of a page", () => {
  const index = new WatchIndex<{ name: string }>();
  const [one, other] = [{ name: "one" }, { name: "other" }];
  const of = (page: string) => [...index.of(page)].map(({ name }) => name);
  index.set(one, ["a", "b"]);
  index.set(other, new Set(["b"]));
  assert.deepEqual([of("a"), of("b"), of("c")], [["one"], ["one", "other"], []]);
  index.set(one, ["b", "c"]);
  assert.deepEqual([of("a"), of("b"), of("c")], [[], ["one", "other"], ["one"]]);
  index.forget(other);
  assert.deepEqual(of("b"), ["one"]);
  index.set(one, []);
  assert.deepEqual([of("b"), of("c")], [[], []]);
});
