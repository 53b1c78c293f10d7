import { permissionsFor } from "../../db/embedded/address.ts";
import { type ChildPlan, startChildProcess } from "../../lib/child_process.ts";

export interface Child extends AsyncDisposable {
  url: string;
}

/** The permissions of a child. It always listens on 127.0.0.1. */
export interface ChildAccess {
  /** The settings it reads; all if a package reads others. */
  env: readonly string[] | "all";
  /** Databases, by host or socket. */
  databases?: readonly string[];
  /** Other services, by URL. */
  services?: readonly string[];
  read?: readonly string[];
  write?: readonly string[];
}

export interface ChildOptions extends Omit<ChildPlan, "permissions"> {
  scheme?: "http" | "smtp";
  access: ChildAccess;
}

/** Runs a module of this folder as a child process, which ends with this process and is restarted if it dies. */
export async function startChild({ scheme = "http", access, ...plan }: ChildOptions): Promise<Child> {
  const child = await startChildProcess({ ...plan, permissions: permissionsOf(access) });
  return { url: `${scheme}://127.0.0.1:${child.port}`, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

/** Flags of Deno. */
function permissionsOf({ env, databases = [], services = [], read = [], write = [] }: ChildAccess): string[] {
  const { net, files } = permissionsFor(databases);
  const hosts = services.map((url) => new URL(url).hostname);
  const flag = (name: string, values: readonly string[]) =>
    values.length > 0 ? [`--allow-${name}=${listed(values)}`] : [];
  return [
    ...flag("net", ["127.0.0.1", ...hosts, ...net]),
    env === "all" ? "--allow-env" : `--allow-env=${listed(env)}`,
    // Required by the Postgres driver.
    ...databases.length > 0 ? ["--allow-sys=hostname"] : [],
    ...flag("read", [...read, ...files]),
    ...flag("write", [...write, ...files]),
  ];
}

function listed(values: readonly string[]): string {
  return [...new Set(values)].join(",");
}
