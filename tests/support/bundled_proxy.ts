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

export interface BundledProxy extends Server {
  /** How many nodes answered the last check of each backend. */
  nodes(): Promise<Record<Backend, number>>;
  /** How many nodes are taken out of the backend for reads. */
  takenOut(): Promise<number>;
  /** Whether the health check of its container passes. */
  healthy(): Promise<boolean>;
}

export type Backend = "reads" | "writes" | "live";

/** Nodes listen at `nodePort`, each at an address of its own. A backend that is `without` nodes gets none. */
export async function startBundledProxy(
  names: NameServer,
  nodePort: number,
  { without }: { without?: Backend } = {},
): Promise<BundledProxy> {
  const haproxy = find("haproxy");
  const [port, healthPort] = [await freePort(), await freePort()];
  const home = await Deno.makeTempDir({ prefix: "rookery-haproxy-" });
  const text = await Deno.readTextFile(new URL("../../docker/haproxy.cfg", import.meta.url));
  const config = replaceAll(text, {
    "bind :8080": `bind 127.0.0.1:${port}`,
    "bind 127.0.0.1:8404": `bind 127.0.0.1:${healthPort}\n  stats enable\n  stats uri ${STATS}`,
    // Two descriptors a connection are more than a test machine may allow.
    "maxconn 20000": "maxconn 1000",
    "127.0.0.11:53": `127.0.0.1:${names.port}`,
    " api:8000": ` api:${nodePort}`,
    ...(without === undefined
      ? {}
      : { [`\nbackend ${without}\n`]: `\nbackend ${without}\n  default-server disabled\n` }),
  });
  await Deno.writeTextFile(`${home}/haproxy.cfg`, config);
  const servers = async () => serversOf(await (await fetch(`http://127.0.0.1:${healthPort}${STATS};csv`)).text());
  const nodes = async () => passedChecks(await servers());
  const takenOut = async () =>
    (await servers()).filter(({ backend, status }) => backend === "reads" && status.startsWith("DOWN")).length;
  const server = await launch({
    url: `http://127.0.0.1:${port}`,
    home,
    command: [haproxy, "-db", "-f", `${home}/haproxy.cfg`],
    prepare: () => emptyFolder(`${home}/data`),
    // Each backend checks at moments of its own, and takes a node for ready until its first check.
    isReady: () =>
      nodes().then(
        (counts) => Object.entries(counts).every(([backend, count]) => backend === without || count > 0),
        () => false,
      ),
  });
  const healthy = () => answers(healthPort, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.1 200");
  return Object.assign(server, { nodes, takenOut, healthy });
}

const STATS = "/stats";

interface ProxiedServer {
  backend: string;
  status: string;
  check: string;
}

/** Of HAProxy's table of figures: https://docs.haproxy.org/2.6/management.html#9.1. */
function serversOf(csv: string): ProxiedServer[] {
  const [head = "", ...lines] = csv.trim().split("\n");
  const names = head.replace("# ", "").split(",");
  return lines.map((line) => line.split(",")).filter((values) => values[names.indexOf("svname")] !== "BACKEND")
    .map((values) => {
      const of = (name: string) => values[names.indexOf(name)]!;
      return { backend: of("pxname"), status: of("status"), check: of("check_status") };
    });
}

function passedChecks(servers: readonly ProxiedServer[]): Record<Backend, number> {
  const counts = { reads: 0, writes: 0, live: 0 };
  for (const { backend, status, check } of servers) {
    if (backend in counts && status === "UP" && check === "L7OK") counts[backend as Backend]++;
  }
  return counts;
}
