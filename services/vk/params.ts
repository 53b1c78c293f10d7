export type VkParam = string | number | boolean | readonly (string | number)[] | undefined;
export type VkParams = Readonly<Record<string, VkParam>>;

/** The version of VK's API that this client speaks. */
const VERSION = "5.199";

/** As VK takes them: lists joined by commas, yes and no as 1 and 0, what is undefined left out. */
export function plainParams(params: VkParams): Record<string, string | number> {
  const plain: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(params)) {
    // The token goes in a header, or not at all.
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

/** A method's name as it stands in an address and in a script. Throws for what is none. */
export function checkMethod(method: string): string {
  if (/^([A-Za-z]+\.[A-Za-z0-9]+|execute(\.\w+)?)$/.test(method)) return method;
  throw new TypeError(`"${method}" is no name of a method: expected one like users.get`);
}

/** Methods that only look may be asked twice. */
export function onlyLooks(method: string): boolean {
  return /\.(get|search|is|check|resolve|lookup)/.test(method);
}
