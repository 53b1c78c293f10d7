/** Pages found by a search: their blocks and posts. */
import { newLongText } from "../app/long_text.js";
import { $ } from "../app/page.js";
import { showPhotos } from "../app/photos.js";
import { call } from "../app/session.js";
import { foreign, line, put } from "../app/text.js";
import { ask, because, block, lift } from "./act.js";
import { blockLine, button, drop, list, make, query, replace, time } from "./parts.js";

const readFound = list("pages", {
  pathOf: ({ q }) => `/search?type=pages&${query({ q: q.trim() })}`,
  itemOf,
  async load(address, { q } = {}) {
    // The list belonged to a page of the previous search.
    if (q) $("posts").hidden = true;
    const [{ pages }, exact] = await Promise.all([call("GET", address), q && named(q.trim())]);
    const others = pages.items.filter(({ id }) => id !== exact?.id);
    return { ...pages, items: exact ? [exact, ...others] : others };
  },
});

/** The page with exactly this handle or id. A search finds it only after its owner's email is confirmed. */
async function named(handle) {
  if (!/^[A-Za-z0-9_-]{2,64}$/.test(handle)) return undefined;
  try {
    return await call("GET", `/pages/${handle}`);
  } catch (problem) {
    if (problem.status !== 404) throw problem;
  }
}

const readPosts = list("posts", { pathOf: ({ page }) => `/pages/${page}/posts?limit=20`, itemOf: postItem });

/** Nothing is listed before a search. */
export function enter() {}

/** Shows the results for a handle or an id. */
export async function find(q) {
  $("pages-filter").q.value = q;
  await readFound({ q });
}

function itemOf(page) {
  const { id, uuid, name, owner, is_private, follower_count, post_count, blocked } = page;
  const path = `/pages/${id}`;
  const item = make(
    "li",
    {},
    make("p", {}, make("strong", {}, foreign(`@${uuid}`)), " ", foreign(name)),
    make(
      "p",
      { className: "soft" },
      line`${[is_private ? "Private" : "Public"]} · of ${owner.login}`,
      ` · ${follower_count} followers · ${post_count} posts`,
    ),
    blockLine(blocked),
    make(
      "div",
      { className: "row" },
      blocked
        ? button("Unblock", () => change(item, lift(path, line`Unblock ${`@${uuid}`}?`)))
        : button("Block", () => change(item, block(path, line`Block ${`@${uuid}`}?`))),
      button("Posts", async () => {
        put($("posts-title"), line`Posts of ${`@${uuid}`}`);
        await readPosts({ page: id });
        $("posts").hidden = false;
        $("posts").scrollIntoView({ block: "nearest" });
      }),
    ),
  );
  return item;
}

async function change(item, asked) {
  const changed = await asked;
  if (changed) replace(item, itemOf(changed));
}

/** A post with its actions for staff. */
export function postItem({ id, author, text, photos, published_at, created_at }) {
  const pictures = make("ul", { className: "photos" });
  showPhotos(pictures, photos);
  const item = make(
    "li",
    {},
    text ? newLongText(text) : null,
    pictures,
    make("p", { className: "soft" }, foreign(author.login), " · ", time(published_at ?? created_at)),
    make(
      "div",
      { className: "row" },
      button("Delete", async () => {
        const gone = await ask({
          title: "Delete this post?",
          name: "Delete",
          work: ({ reason }) => call("DELETE", `/posts/${id}${because(reason)}`),
        });
        if (gone) drop(item);
      }),
    ),
  );
  return item;
}
