/**
 * Others' words among ours. Names, handles and texts may hold characters that turn the direction of what stands beside them, so each
 * of them is put into an element of its own (`<bdi>`), which isolates it. Text is text, whatever is in it.
 */

/** Ours with others' in it, as parts: line`You follow ${name}.` */
export function line(strings, ...values) {
  const parts = strings.flatMap((ours, i) => i < values.length ? [ours, partOf(values[i])] : [ours]);
  return parts.flat().filter((part) => part !== "");
}

/** Somebody else's words; a line in a line stays as it is. */
function partOf(value) {
  return Array.isArray(value) ? value : foreign(value);
}

export function foreign(text) {
  return { foreign: String(text) };
}

/** The words alone. */
export function plain(parts) {
  return [parts].flat(Infinity).map((part) => part.foreign ?? part).join("");
}

/** Shows text, parts and elements, and nothing else, in an element. */
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

/** For attributes, where no element can stand: the same by characters, with none inside that would end it. */
export function isolated(text) {
  return `\u2068${text.replaceAll(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
}

/** JSON in which characters that change a direction are written as escapes. */
export function visibleJson(value) {
  return JSON.stringify(value, null, 2).replaceAll(
    /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Blank lines in a row that are shown. */
const BLANKS = 2;
/** Nothing on a line that one could see. */
const BLANK = /^[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\u2800\u3164\ufeff]*$/;

/** More blank lines in a row than a few say no more than a few. */
export function withoutGaps(text) {
  let blanks = 0;
  return text.split(/\r\n?|[\n\v\f\u0085\u2028\u2029]/).filter((shown) => {
    blanks = BLANK.test(shown) ? blanks + 1 : 0;
    return blanks <= BLANKS;
  }).join("\n");
}
