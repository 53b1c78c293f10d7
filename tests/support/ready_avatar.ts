import { type Node, ok } from "./api.ts";
import { until } from "./wait.ts";

interface Picture {
  token: string;
  path: string;
  /** The person or page with the picture. */
  shownAt: string;
  body: unknown;
}

/** Sets a picture. Returns its address once it is shown: a slow machine needs longer than the answer waits. */
export async function readyAvatar(node: Node, { token, path, shownAt, body }: Picture): Promise<string> {
  const shown = async () => (await ok(node, "GET", shownAt, { token })).avatar_url;
  const before = await shown();
  const answer = await ok(node, "PUT", path, { token, body });
  if (answer.avatar_url !== before) return answer.avatar_url;
  return await until("the picture is shown", async () => {
    const now = await shown();
    return now === before ? undefined : now;
  });
}
