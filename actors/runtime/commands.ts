import type { Decision } from "./actor.ts";

/**
 * The commands of a kind by name: fields and reply. Both ends are checked against such a table: callers
 * (`actors/actors.ts`) and deciders (`Handlers`).
 */
export type CommandTable<Table> = { [Name in keyof Table]: { command: object; reply: unknown } };

/** One of these commands as it is sent: its name is its `type`. */
export type CommandOf<Table extends CommandTable<Table>, Name extends keyof Table = keyof Table> = {
  [N in Name]: { type: N & string } & Table[N]["command"];
}[Name];

/** The handler of each command. A missing handler or a wrong reply type does not compile. */
export type Handlers<State, Table extends CommandTable<Table>, Given = State> = {
  readonly [Name in keyof Table]: (
    state: Given,
    command: CommandOf<Table, Name>,
    now: number,
  ) => Decision<State, Table[Name]["reply"]>;
};

/** Calls the handler of a command's name. */
export function dispatch<State, Table extends CommandTable<Table>, Given>(
  handlers: Handlers<State, Table, Given>,
  state: Given,
  command: CommandOf<Table>,
  now: number,
): Decision<State> {
  // The compiler cannot see that name and command belong together. This is the only place.
  const handle = handlers[command.type as keyof Table] as (
    state: Given,
    command: unknown,
    now: number,
  ) => Decision<State>;
  return handle(state, command, now);
}
