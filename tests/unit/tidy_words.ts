/** Words that do not come back, each with what stands in its place. */
export interface Word {
  word: RegExp;
  better: string;
  /** A line with this is about something else. */
  unless?: RegExp;
}

/** In names. */
export const NAMES: readonly Word[] = [
  { word: /(?<![\w.$#])#?(?:told|tells|telling)\b(?!:)/, better: "events, notified, acknowledged" },
  { word: /(?<![\w.$#])tell\b(?!:)/, better: "notify, show" },
  { word: /\b(?:MOST|LONGEST)_[A-Z]/, better: "MAX_" },
  { word: /\b[A-Z_]+_BOUND\b/, better: "MAX_" },
  { word: /\b(?:[A-Z_]+_)?AT_ONCE\b/, better: "_BATCH, _CONCURRENCY" },
  { word: /\b(?:Wakeful|\w*Teller|JobBell|Joiners|KeptPairs|Patience|Principals)\b/, better: "the noun of the field" },
  { word: /\b(?:mostTries|mostMemory|mostBytes|mostWaiting|longestMs)\b/, better: "max…" },
];

/** In comments, messages, test names and documents. */
export const PROSE: readonly Word[] = [
  { word: /\banew\b/i, better: "again" },
  { word: /\bwho(?:m|so)?ever\b/i, better: "who, a caller, a client" },
  { word: /\bwhatever (?:came|comes)\b/i, better: "any input" },
  { word: /\b(?:lie|lies|lay) sealed\b/i, better: "encrypted" },
  { word: /\bfor good\b/i, better: "permanently" },
  { word: /\bamid\b/i, better: "during" },
  { word: /\bhears? of\b/i, better: "receives, learns" },
  { word: /\bno such thing\b/i, better: "not found" },
  { word: /\be-mails?\b/i, better: "email" },
  { word: /\bbounded bites?\b/i, better: "limited batches" },
  {
    word: /\bletters?\b/i,
    better: "email",
    unless:
      /Latin|Cyrillic|script|alphabet|digit|mark|spac|spell|typo|case|letter by letter|(?:one|two|wrong|same|separate|four|swapped) letters?/i,
  },
];
