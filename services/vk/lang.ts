/** The languages in which VK returns names (`lang`, dev.vk.com/api/api-requests). */
export const VK_LANGS = ["ru", "uk", "be", "en", "es", "fi", "de", "it"] as const;
export type VkLang = typeof VK_LANGS[number];

/** The maximum number of ranges; a browser sends fewer. */
const MAX_RANGES = 20;

/**
 * The preferred language of `Accept-Language` that VK supports, by primary subtag (RFC 9110 §12.5.4). Undefined if
 * there is none.
 */
export function preferredLang(header: string | null): VkLang | undefined {
  const ranges = (header ?? "").slice(0, 1_000).split(",", MAX_RANGES).map((range) => {
    const [tag = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
    return { lang: tag.split("-", 1)[0]!, weight: /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 0 };
  });
  // The sort is stable: of equal weights the first counts.
  const best = ranges.filter(({ lang, weight }) => weight > 0 && isLang(lang)).sort((a, b) => b.weight - a.weight)[0];
  return best?.lang as VkLang | undefined;
}

function isLang(text: string): text is VkLang {
  return (VK_LANGS as readonly string[]).includes(text);
}
