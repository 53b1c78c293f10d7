import assert from "node:assert/strict";
import { canonicalEmail, foldEmail, foldLogin, sameEmail } from "../../lib/folding.ts";
import { isReserved } from "../../contract/reserved.ts";

const LOGINS: [given: string, folded: string | undefined][] = [
  ["minni", "minni"],
  ["MINNI", "minni"],
  // Unicode's lower case of both is an ASCII letter, or begins with one.
  ["mİnni", undefined],
  ["minni\u212a", undefined],
  ["mınni", undefined],
  ["ｍinni", undefined],
  ["minni ", undefined],
  ["", undefined],
];
for (const [given, folded] of LOGINS) {
  Deno.test(`The login ${JSON.stringify(given)} is ${folded ? `folded to "${folded}"` : "nobody's"}`, () => {
    assert.equal(foldLogin(given), folded);
  });
}

const EMAILS: [given: string, canonical: string | undefined][] = [
  ["Ada@Example.ORG", "Ada@example.org"],
  ["ada@пример.рф", "ada@xn--e1afmkfd.xn--p1ai"],
  ["ada@XN--E1AFMKFD.xn--p1ai", "ada@xn--e1afmkfd.xn--p1ai"],
  ["ada@mu\u0308nchen.de", "ada@xn--mnchen-3ya.de"],
  ["ada@example。org", "ada@example.org"],
  ["a.b+c'd@example.org", "a.b+c'd@example.org"],
  ["İda@example.org", undefined],
  [".ada@example.org", undefined],
  ["ada.@example.org", undefined],
  ["ada@example", undefined],
  ["ada@example..org", undefined],
  ["ada@-example.org", undefined],
  ["ada@exa%6Dple.org", undefined],
  ["ada@example.org/x", undefined],
  ["ada@example.org:25", undefined],
  ["ada@1.2.3.4", undefined],
  ["ada@0x7f.1", undefined],
  ["ada@[::1]", undefined],
  ["ada@xn--a.com", undefined],
  ["ada@b@example.org", undefined],
  ["@example.org", undefined],
  ["example.org", undefined],
  ["", undefined],
];
for (const [given, canonical] of EMAILS) {
  Deno.test(`The email ${JSON.stringify(given)} is ${canonical ? `kept as "${canonical}"` : "none"}`, () => {
    assert.equal(canonicalEmail(given), canonical);
    assert.equal(foldEmail(given), canonical?.toLowerCase());
    if (canonical !== undefined) assert.ok(sameEmail(given, canonical) && sameEmail(canonical.toUpperCase(), given));
  });
}

Deno.test("Reserved words are recognised in any case and with any separators", () => {
  for (const word of ["me", "Admin", "SUPPORT", "no-reply", "mailer_daemon", "_root_"]) {
    assert.ok(isReserved(word), word);
  }
  for (const word of ["mel", "admins2", "rootbeer", "supporter"]) assert.ok(!isReserved(word), word);
});
