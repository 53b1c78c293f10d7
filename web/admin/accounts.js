/** Accounts: roles, blocks and deletion. */
import { $, attempt } from "../app/page.js";
import { call } from "../app/session.js";
import { foreign, isolated, line } from "../app/text.js";
import { ask, because, block, lift } from "./act.js";
import { blockLine, button, drop, fieldsOf, list, make, query, replace, time } from "./parts.js";

const ROLES = { user: "User", moderator: "Moderator", admin: "Administrator" };

const read = list("accounts", { pathOf: (fields) => `/users?${query(fields)}`, itemOf });

export const enter = () => read(fieldsOf("accounts"));

/** Shows the account with this login, and similar ones. */
export async function find(login) {
  $("accounts-filter").reset();
  $("accounts-filter").q.value = login;
  await enter();
}

function itemOf(account) {
  const { id, login, first_name, last_name, email, email_verified, blocked, created_at } = account;
  const path = `/users/${id}`;
  const item = make(
    "li",
    {},
    make("p", {}, make("strong", {}, foreign(login)), " ", foreign(`${first_name} ${last_name}`)),
    make(
      "p",
      { className: "soft" },
      line`${email}${[email_verified ? "" : " (not confirmed)"]} · since `,
      time(created_at),
    ),
    blockLine(blocked),
    make(
      "div",
      { className: "row" },
      roleOf(account, (changed) => replace(item, itemOf(changed))),
      blocked
        ? button("Unblock", () => change(item, lift(path, line`Unblock ${login}?`)))
        : button("Block", () => change(item, block(path, line`Block ${login}?`))),
      button("Delete", async () => {
        const gone = await ask({
          title: line`Delete ${login} and all its content?`,
          name: "Delete",
          word: login,
          work: ({ reason }) => call("DELETE", `${path}${because(reason)}`),
        });
        if (gone) drop(item);
      }),
    ),
  );
  return item;
}

async function change(item, asked) {
  const changed = await asked;
  if (changed) replace(item, itemOf(changed));
}

function roleOf({ id, login, role }, changed) {
  const options = Object.entries(ROLES).map(([value, name]) => make("option", { value, textContent: name }));
  const select = make("select", { ariaLabel: `Role of ${isolated(login)}` }, ...options);
  select.value = role;
  select.addEventListener("change", () =>
    attempt(async () => {
      const wanted = select.value;
      // The old value stays until the change has succeeded.
      select.value = role;
      const account = await ask({
        title: line`Make ${login} ${[ROLES[wanted].toLowerCase()]}?`,
        name: "Change the role",
        work: ({ reason }) => call("PUT", `/users/${id}/role`, { role: wanted, ...(reason && { reason }) }),
      });
      if (account) changed(account);
    }));
  return select;
}
