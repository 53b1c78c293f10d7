/** A thousand followers take the same path sooner: `services/mail/many_followers_test.ts`. */
import { postToFollowers } from "../support/many_followers.ts";

Deno.test("A post to ten thousand followers takes limited memory, delays no one and sends each one email", () => {
  return postToFollowers(10_000);
});
