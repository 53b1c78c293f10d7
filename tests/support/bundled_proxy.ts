/** The proxy of `compose.yaml`: `docker/haproxy.cfg` on free ports, in front of the nodes that a name server knows. */
import type { NameServer } from "./name_server.ts";
import { answers, emptyFolder, find, freePort, launch, replaceAll, type Server } from "./servers.ts";

/** Whether HAProxy is installed. In CI its absence is a failure, never a skip. */
export function hasHaproxy(): boolean {
  try {
    return find("haproxy") !== "";
  } catch (error) {
    if (Deno.env.get("CI") === "true") throw error;
    return false;
  }
}

/** Nodes listen at `nodePort`, each at an address of its own. */
export async function startBundledProxy(names: NameServer, nodePort: number): Promise<Server> {
  const haproxy = find("haproxy");
  const [port, healthPort] = [await freePort(), await freePort()];
  const home = await Deno.makeTempDir({ prefix: "rookery-haproxy-" });
  const text = await Deno.readTextFile(new URL("../../docker/haproxy.cfg", import.meta.url));
  const config = replaceAll(text, {
    "bind :8080": `bind 127.0.0.1:${port}`,
    "bind 127.0.0.1:8404": `bind 127.0.0.1:${healthPort}`,
    // Two descriptors a connection are more than a test machine may allow.
    "maxconn 20000": "maxconn 1000",
    "127.0.0.11:53": `127.0.0.1:${names.port}`,
    " api:8000": ` api:${nodePort}`,
  });
  await Deno.writeTextFile(`${home}/haproxy.cfg`, config);
  return await launch({
    url: `http://127.0.0.1:${port}`,
    home,
    command: [haproxy, "-db", "-f", `${home}/haproxy.cfg`],
    prepare: () => emptyFolder(`${home}/data`),
    // What the health check of its container asks: fails while no node is ready.
    isReady: () => answers(healthPort, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.1 200"),
  });
}
