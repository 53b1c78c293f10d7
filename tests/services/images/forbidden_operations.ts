/** Tries forbidden operations under the permissions of a crop process, and prints the results. */
const [storage] = Deno.args;

const operations: Record<string, () => unknown> = {
  "read a file": () => Deno.readTextFileSync("/etc/passwd"),
  "read its own code": () => Deno.readTextFileSync(new URL(import.meta.url)),
  "write a file": () => Deno.makeTempFileSync(),
  "run a program": () => new Deno.Command("true").outputSync(),
  "read the environment": () => Deno.env.get("HOME"),
  "load other native code": () => Deno.dlopen("libc.so.6", {}),
  "reach another port": () => Deno.connect({ hostname: "127.0.0.1", port: 2 }),
  "reach its storage": async () => await (await fetch(`${storage}/healthz`)).text(),
};

const results: Record<string, string> = {};
for (const [name, attempt] of Object.entries(operations)) {
  try {
    await attempt();
    results[name] = "done";
  } catch (error) {
    results[name] = error instanceof Error ? error.name : String(error);
  }
}
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(results)));
