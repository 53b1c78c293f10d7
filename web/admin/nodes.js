/** The nodes and their shares of the partitions, read again every two seconds while they are shown. */
import { $, whenLeft } from "../app/page.js";
import { account, call } from "../app/session.js";
import { make, time } from "./parts.js";

const REFRESH_MS = 2_000;
const PARTITIONS = 64;

let timer;

export async function enter() {
  clearTimeout(timer);
  await read();
  again();
}

whenLeft(() => clearTimeout(timer));

function again() {
  clearTimeout(timer);
  // After a failure too: a node may have ended, and the next one answers.
  if (isShown()) timer = setTimeout(() => read().catch(() => {}).finally(again), REFRESH_MS);
}

function isShown() {
  return account !== undefined && !$("nodes").hidden;
}

async function read() {
  const { items } = await call("GET", "/nodes");
  if (isShown()) $("nodes-list").replaceChildren(...items.map(itemOf));
}

function itemOf({ id, url, started_at, lease_ms, live, actors, partitions, is_this_node }) {
  const share = actors ? `${partitions} of ${PARTITIONS} partitions` : "Takes no partitions";
  return make(
    "li",
    {},
    make("p", {}, make("strong", { textContent: url ?? id }), is_this_node ? " · this node answered" : ""),
    live
      ? make("p", { className: "soft" }, `Lease: ${(lease_ms / 1_000).toFixed(1)} s · started `, time(started_at))
      : make("p", { className: "blocked" }, "Its lease is over · started ", time(started_at)),
    make("label", {}, `${share} `, make("meter", { max: PARTITIONS, value: partitions })),
  );
}
