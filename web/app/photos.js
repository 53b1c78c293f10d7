/** The photos of a post as a list. The browser chooses the size. */

/** Fills `list`, which is hidden if there are no photos. */
export function showPhotos(list, photos) {
  list.hidden = photos.length === 0;
  list.replaceChildren(...photos.map((photo) => itemOf(photo, photos.length === 1)));
}

function itemOf({ url, width, variants, alt }, alone) {
  const img = document.createElement("img");
  img.src = url;
  img.srcset = [{ url, width }, ...variants].map((size) => `${size.url} ${size.width}w`).join(", ");
  img.sizes = alone ? "22rem" : "11rem";
  img.width = img.height = width;
  img.alt = alt ?? "";
  img.loading = "lazy";
  const item = document.createElement("li");
  item.append(img);
  return item;
}
