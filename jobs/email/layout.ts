export interface EmailText {
  subject: string;
  text: string;
  html: string;
}

/** A part of an email, rendered as plain text and as HTML. */
export type Part =
  /** A paragraph; line breaks are kept. */
  | { paragraph: string }
  | { heading: string }
  | { code: string }
  | { link: string; words: string }
  /** A small footer. */
  | { note: string; link?: { url: string; words: string } };

/** Renders an email as text and as HTML. User content is escaped. */
export function layOut(subject: string, parts: readonly Part[]): EmailText {
  const body = parts.map(html).join("\n");
  return {
    // Names and posts may have line breaks and direction marks.
    subject: subject.replaceAll(/[\s\p{Cc}]+/gu, " ").replaceAll(/[\u202a-\u202e\u2066-\u206f]/g, "").trim(),
    text: `${parts.map(plain).join("\n\n")}\n`,
    html: `<!doctype html>\n<html lang="en">\n` +
      `<body style="font-family:sans-serif;line-height:1.5;max-width:36em;margin:1em auto">\n` +
      `${body}\n</body>\n</html>\n`,
  };
}

function plain(part: Part): string {
  if ("paragraph" in part) return part.paragraph;
  if ("heading" in part) return `${part.heading}\n${"-".repeat(Math.min(60, part.heading.length))}`;
  if ("code" in part) return `    ${part.code}`;
  if ("words" in part) return `${part.words}: ${part.link}`;
  return `--\n${part.note}${part.link ? `\n${part.link.words}: ${part.link.url}` : ""}`;
}

function html(part: Part): string {
  if ("paragraph" in part) return `<p style="white-space:pre-line">${escape(part.paragraph)}</p>`;
  if ("heading" in part) return `<h2 style="font-size:1.1em;margin-bottom:.2em">${escape(part.heading)}</h2>`;
  if ("code" in part) {
    return `<p style="font-size:1.6em;letter-spacing:.15em"><strong>${escape(part.code)}</strong></p>`;
  }
  if ("words" in part) return `<p>${anchor(part.link, part.words)}</p>`;
  const link = part.link ? `<br>${anchor(part.link.url, part.link.words)}` : "";
  return `<p style="color:#666;font-size:.85em">${escape(part.note)}${link}</p>`;
}

function anchor(url: string, words: string): string {
  return `<a href="${escape(url)}">${escape(words)}</a>`;
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
}
