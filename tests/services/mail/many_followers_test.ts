import { postToFollowers } from "../../support/many_followers.ts";

Deno.test("A post to a thousand followers takes limited memory, delays no one and sends each one email", () => {
  return postToFollowers(1_000);
});
