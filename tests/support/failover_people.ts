/** Who writes and listens in a load of a cluster, and their pages. */
import type { Cluster } from "./cluster.ts";
import { makeFollowers } from "./followers.ts";
import { makePeople, type Person } from "./person.ts";

const PEOPLE = 6;
const EMAIL_FOLLOWERS = 2;

export interface FailoverPeople {
  /** They follow each other's personal pages and the emailed page. */
  all: Person[];
  /** Has the three pages below, and does not listen. */
  owner: Person;
  /** A page that the others follow and unfollow. */
  followedPage: string;
  /** A page with followers who have proven addresses. */
  emailedPage: string;
  /** Addresses that get an email about each post of that page. */
  emails: string[];
  privatePage: string;
  /** Follows the private page. The other listeners must receive nothing of it. */
  insider: Person;
  /** One per node, each first at another one. */
  listeners: Person[];
}

export async function makeFailoverPeople({ nodes }: Cluster): Promise<FailoverPeople> {
  const all = await makePeople(nodes[0]!, PEOPLE);
  const owner = all.at(-1)!;
  const listeners = all.slice(0, nodes.length);
  const insider = listeners[1]!;
  const page = async (name: string, is_private = false): Promise<string> =>
    (await owner.do("POST", "/pages", { name, is_private })).id;
  const [followedPage, emailedPage, privatePage] = [
    await page("followed"),
    await page("emailed"),
    await page("s", true),
  ];
  for (const person of all) {
    for (const other of all) if (person !== other) await person.do("PUT", `/pages/${other.page_id}/follow`);
    if (person !== owner) await person.do("PUT", `/pages/${emailedPage}/follow`);
  }
  await insider.do("PUT", `/pages/${privatePage}/follow`);
  await owner.do("POST", `/pages/${privatePage}/requests/accept`, { all: true });
  const emails = await makeFollowers(nodes[0]!.sql, emailedPage, EMAIL_FOLLOWERS);
  return { all, owner, followedPage, emailedPage, emails, privatePage, insider, listeners };
}
