import type { Result, Router } from "hono/router";
import { RegExpRouter } from "hono/router/reg-exp-router";

/**
 * Paths without parameters are found in a map, others by one regular expression. Hono's default walks a tree at several
 * times the cost, because its expression cannot tell `/users/me` from `/users/:id`. One handler per path: `use` with a
 * pattern does not apply to plain paths.
 */
export class PathRouter<T> implements Router<T> {
  readonly name = "PathRouter";
  #plain = new Map<string, Map<string, Result<T>>>();
  #patterns = new RegExpRouter<T>();

  add(method: string, path: string, handler: T): void {
    if (method === "ALL" || /[:*]/.test(path)) return this.#patterns.add(method, path, handler);
    let paths = this.#plain.get(method);
    if (!paths) this.#plain.set(method, paths = new Map());
    if (paths.has(path)) throw new Error(`${method} ${path} is declared twice`);
    paths.set(path, [[[handler, {}]]]);
  }

  match(method: string, path: string): Result<T> {
    return this.#plain.get(method)?.get(path) ?? this.#patterns.match(method, path);
  }
}
