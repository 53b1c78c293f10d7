/** Photos as tests send them and read them back. */
import type { Json } from "./api.ts";
import type { TestApp } from "./app.ts";
import type { Person } from "./person.ts";

export type Post = Json;

export interface Photos {
  /** As a browser asks: the picture's bytes, or why not. */
  read(url: string, headers?: Record<string, string>): Promise<{ status: number; headers: Headers; bytes: Uint8Array }>;
  /** The keys of all that is stored. */
  stored(): Promise<string[]>;
}

export function photosOf(app: TestApp): Photos {
  return {
    async read(url, headers = {}) {
      const response = await fetch(app.url + url, { headers });
      return {
        status: response.status,
        headers: response.headers,
        bytes: new Uint8Array(await response.arrayBuffer()),
      };
    },
    async stored() {
      return (await app.ctx.storage.list({ limit: 1_000 })).map(({ key }) => key);
    },
  };
}

export function bearer({ token }: Person): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** What this post's photos are kept under. */
export function keysOf(post: Post): string[] {
  return post.photos.map(({ url }: { url: string }) => url.split("/").at(-1)!);
}

export function form(files: [name: string, bytes: Uint8Array][], fields: Record<string, string> = {}): FormData {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  for (const [name, bytes] of files) body.append("photos", new Blob([bytes as BlobPart]), name);
  return body;
}
