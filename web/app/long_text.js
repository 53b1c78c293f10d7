/** Long text of other people: it wraps, and is folded if it exceeds a few lines (`.long` in app.css). */
import { withoutGaps } from "./text.js";

/** Shows the button if text is folded. Sizes change with the window and are zero while hidden. */
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) judge(target);
});

/** A block for one text. */
export function newLongText(text = "", tag = "p") {
  const block = document.createElement("div");
  block.className = "long";
  const shown = document.createElement(tag);
  shown.className = "text";
  shown.dir = "auto";
  const more = document.createElement("button");
  more.type = "button";
  more.className = "more quiet";
  more.hidden = true;
  more.addEventListener("click", () => unfold(block, more.getAttribute("aria-expanded") !== "true"));
  block.append(shown, more);
  unfold(block, false);
  observer.observe(shown);
  setLongText(block, text);
  return block;
}

/** Sets the text and keeps the fold state. */
export function setLongText(block, text) {
  const shown = block.firstElementChild;
  const content = withoutGaps(text);
  if (shown.textContent === content) return;
  shown.textContent = content;
  judge(shown);
}

function unfold(block, open) {
  block.classList.toggle("open", open);
  block.lastElementChild.setAttribute("aria-expanded", String(open));
  block.lastElementChild.textContent = open ? "Show less" : "Show more";
}

function judge(shown) {
  const block = shown.parentElement;
  if (!block.classList.contains("open")) block.lastElementChild.hidden = shown.scrollHeight <= shown.clientHeight + 1;
}
