import type { Decision } from "./actor.ts";

/**
 * The commands of a kind, by name: what comes with each, and what its actor replies. Both ends are checked against such a table: who asks
 * (`actors/actors.ts`), and who decides (`Handlers`).
 */
export type CommandTable<Table> = { [Name in keyof Table]: { command: object; reply: unknown } };

/** One of these commands as it travels: its name is its `type`. */
export type CommandOf<Table extends CommandTable<Table>, Name extends keyof Table = keyof Table> = {
  [N in Name]: { type: N & string } & Table[N]["command"];
}[Name];

/** How each command is decided. One without a handler, or with a reply of another type, does not compile. */
export type Handlers<State, Table extends CommandTable<Table>, Given = State> = {
  readonly [Name in keyof Table]: (
    state: Given,
    command: CommandOf<Table, Name>,
    now: number,
  ) => Decision<State, Table[Name]["reply"]>;
};

/** Decides a command by the handler of its name. */
export function dispatch<State, Table extends CommandTable<Table>, Given>(
  handlers: Handlers<State, Table, Given>,
  state: Given,
  command: CommandOf<Table>,
  now: number,
): Decision<State> {
  // That name and command belong together is lost on the compiler here, and only here.
  const handle = handlers[command.type as keyof Table] as (
    state: Given,
    command: unknown,
    now: number,
  ) => Decision<State>;
  return handle(state, command, now);
}
