/** Reports for staff. */
import { newLongText } from "../app/long_text.js";
import { call } from "../app/session.js";
import { foreign, line } from "../app/text.js";
import { ask } from "./act.js";
import { button, fieldsOf, list, make, query, replace, time } from "./parts.js";
import { find as findAccount } from "./accounts.js";
import { find as findPage, postItem } from "./pages.js";

const read = list("reports", { pathOf: (fields) => `/reports?${query(fields)}`, itemOf });

export const enter = () => read(fieldsOf("reports"));

let openRoom;

/** Registers how to open another view. */
export function whenLeaving(open) {
  openRoom = open;
}

function itemOf(report) {
  const { id, target, reason, reporter, state, handler, outcome, note, created_at } = report;
  const path = `/reports/${id}`;
  const take = async (method) => replace(item, itemOf(await call(method, `${path}/take`)));
  const item = make(
    "li",
    {},
    make("p", {}, make("strong", {}, `${target.kind} `, foreign(target.name)), target.gone ? " (gone)" : ""),
    newLongText(reason),
    make(
      "p",
      { className: "soft" },
      reporter ? foreign(reporter.login) : "a deleted account",
      " · ",
      time(created_at),
    ),
    handler
      ? make(
        "p",
        { className: "soft" },
        state === "closed"
          ? line`Closed by ${handler.login}, ${closing(outcome, note)}`
          : line`Taken by ${handler.login}`,
      )
      : null,
    make(
      "div",
      { className: "row" },
      ...target.gone ? [] : [button("View", () => look(target, item))],
      ...state === "open" ? [button("Take", () => take("POST"))] : [],
      ...state === "taken" ? [button("Release", () => take("DELETE"))] : [],
      ...state === "closed" ? [] : [
        button("Close: acted", () => close(item, path, "acted")),
        button("Dismiss", () => close(item, path, "dismissed")),
      ],
    ),
  );
  return item;
}

function closing(outcome, note) {
  const done = outcome === "acted" ? "with action taken" : "without action";
  return note ? line`${[done]}: ${note}` : [done];
}

async function close(item, path, outcome) {
  const closed = await ask({
    title: "Close this report?",
    name: "Close",
    work: ({ reason }) => call("POST", `${path}/close`, { outcome, ...(reason && { note: reason }) }),
  });
  if (closed) replace(item, itemOf(closed));
}

/** Opens the target: a post here, other kinds in their views. */
async function look({ kind, id, name }, item) {
  if (kind === "post") {
    const shown = make("ol", { className: "list" }, postItem(await call("GET", `/posts/${id}`)));
    item.querySelector("ol")?.remove();
    return void item.append(shown);
  }
  if (kind === "account") {
    openRoom("accounts");
    return await findAccount(name);
  }
  openRoom("pages");
  // Its handle may have changed.
  await findPage(id);
}
