/** Writing on one's own page. */
import { whenDrafted } from "./draft.js";
import { showPost } from "./feed.js";
import { $, onSubmit } from "./page.js";
import { account, call, keyOf, spend } from "./session.js";
import { readUnready } from "./unready.js";

onSubmit("write", async ({ text }, form) => {
  const photos = [...form.elements.photos.files];
  const key = keyOf("post", [text, ...photos.map(({ name, size, lastModified }) => [name, size, lastModified])]);
  const body = photos.length > 0 ? new FormData() : { text };
  if (photos.length > 0) {
    if (text.trim() !== "") body.append("text", text);
    for (const photo of photos) body.append("photos", photo);
  }
  const post = await call("POST", `/pages/${account.page_id}/posts`, body, { key });
  // The next post with the same text is a new post.
  spend(key);
  // Text typed meanwhile is kept.
  if (form.elements.text.value === text) form.reset();
  if (post.state === "ready") showPost(post, { first: true });
  else await readUnready();
});

whenDrafted(() => {
  const { text, photos } = $("write").elements;
  return text.value !== "" || photos.files.length > 0 ? { text: text.value, photos: [...photos.files] } : undefined;
}, (draft) => {
  const { text, photos } = $("write").elements;
  text.value = draft.text;
  const chosen = new DataTransfer();
  for (const photo of draft.photos) chosen.items.add(photo);
  photos.files = chosen.files;
});
