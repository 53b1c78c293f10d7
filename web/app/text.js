/**
 * Text of other people in the page's own text. Names, handles and texts may have characters that change the writing
 * direction, so each one is isolated in its own `<bdi>` element. It is always set as text, never as HTML.
 */

/** Own text with text of others as parts: line`You follow ${name}.` */
export function line(strings, ...values) {
  const parts = strings.flatMap((ours, i) => i < values.length ? [ours, partOf(values[i])] : [ours]);
  return parts.flat().filter((part) => part !== "");
}

/** Text of other people. A line inside a line is kept. */
function partOf(value) {
  return Array.isArray(value) ? value : foreign(value);
}

export function foreign(text) {
  return { foreign: String(text) };
}

/** The text without its markup. */
export function plain(parts) {
  return [parts].flat(Infinity).map((part) => part.foreign ?? part).join("");
}

/** Replaces the content of an element by text, parts and elements. */
export function put(element, ...content) {
  element.replaceChildren(...nodesOf(content));
}

export function nodesOf(content) {
  return content.flat(Infinity).map((part) => {
    if (part.foreign === undefined) return part;
    const element = document.createElement("bdi");
    element.textContent = part.foreign;
    return element;
  });
}

/**
 * For attributes, which cannot hold elements: isolates with Unicode characters and removes any that would end the
 * isolation.
 */
export function isolated(text) {
  return `\u2068${text.replaceAll(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
}

/** JSON with direction-changing characters escaped. */
export function visibleJson(value) {
  return JSON.stringify(value, null, 2).replaceAll(
    /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Consecutive blank lines that are shown. */
const BLANKS = 2;
/** A line without visible characters. */
const BLANK = /^[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\u2800\u3164\ufeff]*$/;

/** Limits consecutive blank lines. */
export function withoutGaps(text) {
  let blanks = 0;
  return text.split(/\r\n?|[\n\v\f\u0085\u2028\u2029]/).filter((shown) => {
    blanks = BLANK.test(shown) ? blanks + 1 : 0;
    return blanks <= BLANKS;
  }).join("\n");
}
