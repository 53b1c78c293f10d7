/** A tag may be this long, in code points of its folded form (`docs/limits.md`). */
export const TAG_MAX_CODE_POINTS = 30;
/** The same as it is written, before folding, in UTF-16 units. */
export const TAG_MAX_WRITTEN = 200;
export const TAG_RULE =
  `Expected letters with their marks, digits, _ and - only, at most ${TAG_MAX_CODE_POINTS} code points when case is folded`;

/** A letter or digit with its marks, in any script. */
const UNIT = String.raw`[\p{L}\p{N}]\p{M}*`;
/** Scripts in which an invisible joiner changes what is written: cursive ones, and those that build clusters with a virama. */
const JOINED = [
  ...["Arab", "Syrc", "Mong", "Nkoo", "Mand", "Phag", "Rohg", "Sogd", "Adlm"],
  ...[
    "Deva",
    "Beng",
    "Guru",
    "Gujr",
    "Orya",
    "Taml",
    "Telu",
    "Knda",
    "Mlym",
    "Sinh",
    "Khmr",
    "Mymr",
    "Tibt",
    "Java",
    "Bali",
  ],
].map((script) => String.raw`\p{scx=${script}}`).join("");
/** ZWNJ and ZWJ, one at a time and between two letters of such a script. */
const JOINER = String.raw`(?<=[[${JOINED}]&&[\p{L}\p{M}]])[\u200c\u200d](?=[[${JOINED}]&&\p{L}])`;
const TAG = new RegExp(`^(?:${UNIT}|${JOINER}|[_\\-])+$`, "v");
/** Marks and letters that nobody can see: variation selectors, fillers. Two tags that differ by them would look the same. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}&&[\p{L}\p{M}]]/gv;

/**
 * The one form in which a tag is stored, compared and looked for: NFKC, then full case folding (Unicode §3.13, D145). Undefined for what is no
 * tag. Folding what is folded changes nothing, so a stored tag is always taken again.
 */
export function foldTag(given: string): string | undefined {
  const folded = foldCase(given);
  return TAG.test(folded) && [...folded].length <= TAG_MAX_CODE_POINTS ? folded : undefined;
}

/** Whether two spellings are one tag; a tag that an older rule stored is at least itself. */
export function isSameTag(stored: string, given: string): boolean {
  return stored === given || foldCase(stored) === foldCase(given);
}

/** To the form that folding does not change any more: what is composed again may be folded once more. */
export function foldCase(given: string): string {
  let folded = given;
  for (let round = 0; round < 5; round++) {
    const next = foldOnce(folded);
    if (next === folded) break;
    folded = next;
  }
  return folded;
}

function foldOnce(value: string): string {
  const visible = value.normalize("NFKC").replaceAll(INVISIBLE, "");
  return [...visible].map(foldCharacter).join("").normalize("NFKC");
}

/** By way of the upper case, which spells `ß` out; character by character, since a whole word would get a final sigma. */
function foldCharacter(character: string): string {
  // Without dot it is a letter of its own.
  if (character === "ı") return character;
  return [...character.toLowerCase().toUpperCase()].map((upper) => upper.toLowerCase()).join("");
}
