import { type Json, type Node, ok } from "./api.ts";
import { until } from "./wait.ts";

/** The post when its photos are ready. A slow machine needs longer for them than the answer waits. */
export async function readyPost(node: Node, token: string | undefined, post: Json): Promise<Json> {
  if (post.state !== "processing") return post;
  return await until("its photos are ready", async () => {
    const now = await ok(node, "GET", `/posts/${post.id}`, { token });
    return now.state === "processing" ? undefined : now;
  });
}
