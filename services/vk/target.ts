/** The VK user of a request. */
export type Target = { by: "me" } | { by: "id"; id: number } | { by: "name"; name: string };

/**
 * From a path: `me`, a number, or a screen name, of which `id` and a number is another spelling of the number.
 * Undefined if it cannot be a VK user.
 */
export function targetOf(text: string): Target | undefined {
  if (text === "me") return { by: "me" };
  const id = /^(?:id)?([1-9]\d{0,14})$/i.exec(text)?.[1];
  if (id !== undefined) return { by: "id", id: Number(id) };
  // VK ignores the case of screen names.
  return /^[A-Za-z][A-Za-z0-9_.]{1,31}$/.test(text) ? { by: "name", name: text.toLowerCase() } : undefined;
}

/** The canonical spelling of a user. */
export function wordOf(target: Target): string {
  return target.by === "me" ? "me" : target.by === "id" ? String(target.id) : target.name;
}
