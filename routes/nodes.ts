import { z } from "zod";
import { readDirectory } from "../db/nodes.ts";
import { answer } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import * as schemas from "../contract/schemas.ts";

/** The nodes of the installation. */
export function nodeRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/nodes",
    access: "admin",
    summary: "Nodes and their shares of the partitions, oldest first; one that was killed is listed for up to an hour",
    tags: ["Nodes"],
    answers: { 200: { description: "Nodes", schema: z.object({ items: z.array(schemas.Node) }) } },
  }, async ({ ctx }) => {
    const { nodes, owners } = await readDirectory(ctx.sql);
    return answer(200, {
      items: nodes.map(({ id, url, started_at, left_ms, actors }) => ({
        id,
        url,
        started_at: new Date(started_at).toISOString(),
        lease_ms: Math.max(0, Math.round(left_ms)),
        live: left_ms > 0,
        actors,
        partitions: owners.filter(({ node }) => node === id).length,
        is_this_node: id === ctx.nodeId,
      })),
    });
  });
}
