/** People who ask for their own VK profiles during a fault. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import type { PatientClient } from "./patient_client.ts";
import type { Person } from "./person.ts";
import type { Seeded } from "./seeded.ts";

/** VK ids of the fake, one a person. */
const FIRST_ID = 301;
const WITHIN_MS = 3_000;
const RATE_LIMITED = 429;

export async function storeVkTokens(people: readonly Person[]): Promise<void> {
  for (const [i, person] of people.entries()) {
    await person.do("PUT", "/vk/token", { token: `fake-user-${FIRST_ID + i}`, kind: "user" });
  }
}

/** Each asks once, at a random moment, and gets their own profile. Returns how many asked. */
export async function fetchFromVk(client: PatientClient, people: readonly Person[], random: Seeded): Promise<number> {
  await Promise.all(people.map(async (person, i) => {
    await sleep(random.whole(0, WITHIN_MS));
    const { id } = await client.read(person, "/vk/users/me", [RATE_LIMITED]);
    assert.equal(id, String(FIRST_ID + i), `the VK profile of ${person.login}`);
  }));
  return people.length;
}
