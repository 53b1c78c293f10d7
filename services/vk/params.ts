export type VkParam = string | number | boolean | readonly (string | number)[] | undefined;
export type VkParams = Readonly<Record<string, VkParam>>;

/** The version of VK's API. */
const VERSION = "5.199";

/** In VK's format: lists joined by commas, booleans as 1 and 0, undefined values omitted. */
export function plainParams(params: VkParams): Record<string, string | number> {
  const plain: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(params)) {
    // The token is only sent in a header.
    if (name === "access_token") throw new TypeError("A token is no parameter");
    if (value === undefined) continue;
    plain[name] = typeof value === "boolean" ? Number(value) : typeof value === "object" ? value.join(",") : value;
  }
  return plain;
}

export function formOf(params: VkParams): URLSearchParams {
  const fields = Object.entries({ v: VERSION, ...plainParams(params) });
  return new URLSearchParams(fields.map(([name, value]) => [name, String(value)]));
}

/** The name of a method in an address and in a script. Throws if it is invalid. */
export function checkMethod(method: string): string {
  if (/^([A-Za-z]+\.[A-Za-z0-9]+|execute(\.\w+)?)$/.test(method)) return method;
  throw new TypeError(`"${method}" is no name of a method: expected one like users.get`);
}

/** Methods that only read may be repeated. */
export function onlyLooks(method: string): boolean {
  return /\.(get|search|is|check|resolve|lookup)/.test(method);
}
