import type { NewPost } from "../../actors/page_commands.ts";
import { newId } from "../../lib/ids.ts";
import type { Json } from "./api.ts";
import type { TestApp } from "./app.ts";
import type { Person } from "./person.ts";
import { until } from "./wait.ts";

/** A post of which a photo turned out to be broken when its request waited no longer. */
export async function failedPost(app: TestApp, person: Person, text: string, ...files: Uint8Array[]): Promise<Json> {
  const photos = await Promise.all(
    files.map((body) => app.ctx.photos.staging.stage({ name: "a.jpg", alt: null, body, path: "photos" })),
  );
  const id = newId();
  const post: NewPost = { id, text, tagged: [], tagged_logins: [], place: null, reply_to: null, photos };
  const by = { id: person.id, role: "user" as const };
  await app.ctx.actors.ask("page", person.page_id, "create_post", { by, post });
  return await until("a failed post", async () => {
    const shown = await app.ok("GET", `/posts/${id}`, { token: person.token });
    const waits = shown.photos.some(({ state }: { state: string }) => state === "processing");
    return shown.state === "failed" && !waits ? shown : undefined;
  });
}
