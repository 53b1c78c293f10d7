/** Maximum length of a tag, in code points of its folded form (`docs/limits.md`). */
export const TAG_MAX_CODE_POINTS = 30;
/** Maximum length as written, before folding, in UTF-16 units. */
export const TAG_MAX_WRITTEN = 200;
export const TAG_RULE = `Expected letters with their marks, digits, _ and - only, ` +
  `at most ${TAG_MAX_CODE_POINTS} code points when case is folded`;

/** A letter or digit with its marks, in any script. */
const UNIT = String.raw`[\p{L}\p{N}]\p{M}*`;
/** Scripts in which an invisible joiner changes the text: cursive scripts, and those with clusters by virama. */
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
/** ZWNJ or ZWJ, a single one between two letters of such a script. */
const JOINER = String.raw`(?<=[[${JOINED}]&&[\p{L}\p{M}]])[\u200c\u200d](?=[[${JOINED}]&&\p{L}])`;
const TAG = new RegExp(`^(?:${UNIT}|${JOINER}|[_\\-])+$`, "v");
/** Invisible marks and letters: variation selectors, fillers. Two tags that differ only in them look the same. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}&&[\p{L}\p{M}]]/gv;

/**
 * The form in which a tag is stored, compared and searched: NFKC, then full case folding (Unicode §3.13, D145).
 * Undefined if the text is no tag. Folding is idempotent, so a stored tag is always accepted again.
 */
export function foldTag(given: string): string | undefined {
  const folded = foldCase(given);
  return TAG.test(folded) && [...folded].length <= TAG_MAX_CODE_POINTS ? folded : undefined;
}

/** Whether two spellings are the same tag. A tag stored by an older rule equals at least itself. */
export function isSameTag(stored: string, given: string): boolean {
  return stored === given || foldCase(stored) === foldCase(given);
}

/** Folds until nothing changes: composed text may fold once more. */
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

/** Through upper case, which spells out `ß`. By character, since a word would get a final sigma. */
function foldCharacter(character: string): string {
  // The dotless i is a separate letter.
  if (character === "ı") return character;
  return [...character.toLowerCase().toUpperCase()].map((upper) => upper.toLowerCase()).join("");
}
