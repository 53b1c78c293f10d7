/** The record of moderation. */
import { newLongText } from "../app/long_text.js";
import { $ } from "../app/page.js";
import { foreign, visibleJson } from "../app/text.js";
import { fieldsOf, list, make, query, time } from "./parts.js";

/** Texts of acts. */
const ACTS = {
  "page.block": "blocked a page",
  "page.unblock": "unblocked a page",
  "page.block_lapsed": "the block of a page ended",
  "account.block": "blocked an account",
  "account.unblock": "unblocked an account",
  "account.block_lapsed": "the block of an account ended",
  "account.role": "changed a role",
  "account.password": "set the password of an account",
  "account.profile": "changed a profile",
  "account.delete": "deleted an account",
  "post.delete": "deleted a post",
  "report.take": "took a report",
  "report.release": "released a report",
  "report.close": "closed a report",
};
for (const [value, name] of Object.entries(ACTS)) {
  $("record-filter").act.append(make("option", { value, textContent: name }));
}

const read = list("record", {
  pathOf: ({ act, from, to }) => `/moderation/log?${query(span({ act, from, to }))}`,
  itemOf,
});

export const enter = () => read(fieldsOf("record"));

/** Times are in the reader's time zone. */
function span({ act, from, to }) {
  const moment = (local) => local && new Date(local).toISOString();
  return { act, from: moment(from), to: moment(to) };
}

function itemOf({ id, at, act, actor, target, reason, before, after, hash }) {
  const changes = visibleJson({ before, after, hash });
  return make(
    "li",
    {},
    make(
      "p",
      {},
      make("strong", {}, actor.login ? foreign(actor.login) : "The system"),
      ` ${actor.role === "system" ? "" : `(${actor.role}) `}${ACTS[act] ?? act}: `,
      make("strong", {}, foreign(target.name)),
    ),
    reason ? newLongText(reason) : null,
    make("p", { className: "soft" }, `No. ${id} · `, time(at)),
    make("details", {}, make("summary", { textContent: "Before and after" }), make("pre", { textContent: changes })),
  );
}
