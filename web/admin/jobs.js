/** Background jobs, also failed ones. */
import { newLongText } from "../app/long_text.js";
import { call } from "../app/session.js";
import { button, drop, fieldsOf, list, make, query, time } from "./parts.js";

const read = list("jobs", { pathOf: (fields) => `/jobs?${query(fields)}`, itemOf });

export const enter = () => read(fieldsOf("jobs"));

function itemOf({ id, kind, state, attempts, run_at, last_error, created_at }) {
  const end = async (method, path) => {
    await call(method, path);
    drop(item);
  };
  const item = make(
    "li",
    {},
    make("p", {}, make("strong", { textContent: kind }), ` ${state} after ${attempts} tries`),
    last_error ? newLongText(last_error) : null,
    make("p", { className: "soft" }, `${id} · made `, time(created_at), " · due ", time(run_at)),
    make(
      "div",
      { className: "row" },
      ...state === "dead" ? [button("Try again", () => end("POST", `/jobs/${id}/retry`))] : [],
      ...state === "dead" || state === "unknown" ? [button("Delete", () => end("DELETE", `/jobs/${id}`))] : [],
    ),
  );
  return item;
}
