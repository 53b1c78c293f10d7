/**
 * Postgres refuses to run as root. Where this process is root, its programs run as another user: one who may reach the folders drops to
 * it plainly, in a group of its own that nobody else is in; else it keeps one capability, to pass and read folders that are root's
 * alone, such as those in root's home.
 */
import { readProcFile } from "../../lib/proc_files.ts";
import { EmbeddedRefused } from "./refused.ts";

export interface RunAs {
  /** Before the program, and its options. */
  prefix: readonly string[];
  /** For `Deno.Command`. */
  user: { uid?: number; gid?: number };
  /** Who owns what the programs write; undefined where it is this process's own user. */
  owner?: { uid: number; gid: number };
}

/** A group that no user is in: processes of the same user that are not Postgres may not enter the data folder. */
const OWN_GROUP = 65_432;
const USERS = ["postgres", "nobody"];
const CAPABILITIES = [["dac_read_search", 2], ["dac_override", 1]] as const;

/**
 * `clusterOwner` is the user whose the database is already. `program` and `dataDir` must be reachable for it.
 * Throws `EmbeddedRefused` where there is no way.
 */
export async function runAs(
  { dataDir, program, clusterOwner }: { dataDir: string; program: string; clusterOwner: number | undefined },
): Promise<RunAs> {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return { prefix: [], user: {} };
  if (clusterOwner === 0) {
    throw new EmbeddedRefused(
      `The database in "${dataDir}" belongs to root, whom Postgres refuses; give it away with: chown -R nobody "${dataDir}/postgres"`,
    );
  }
  const owner = { uid: clusterOwner ?? await firstUser(), gid: OWN_GROUP };
  if (await reaches(owner, [program, dataDir])) return { prefix: [], user: owner, owner };
  // Postgres asks with access(2) as well, which looks at capabilities only with this bit of security.
  const capability = heldCapability();
  if (capability && await setprivExists()) {
    const prefix = [
      "setpriv",
      `--reuid=${owner.uid}`,
      `--regid=${owner.gid}`,
      "--clear-groups",
      "--securebits=+no_setuid_fixup",
      `--inh-caps=+${capability}`,
      `--ambient-caps=+${capability}`,
      "--",
    ];
    return { prefix, user: {}, owner };
  }
  // The last way: let its group, and nobody else, pass the folder itself.
  await Deno.chown(dataDir, null, OWN_GROUP);
  await Deno.chmod(dataDir, 0o710);
  if (await reaches(owner, [program, dataDir])) return { prefix: [], user: owner, owner };
  throw new EmbeddedRefused(
    `Postgres refuses to run as root, and user ${owner.uid} may not enter "${dataDir}" or the folder of its programs; ` +
      `start Rookery as another user, or set DATA_DIR to a folder outside root's home`,
  );
}

async function reaches({ uid, gid }: { uid: number; gid: number }, paths: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("sh", {
      args: ["-c", `for path; do test -x "$path" || exit 1; done`, "sh", ...paths],
      cwd: "/",
      uid,
      gid,
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new EmbeddedRefused(
      "Postgres refuses to run as root, and this root may not become another user (CAP_SETUID, CAP_SETGID); " +
        "start Rookery as another user, or set DATABASE_URL",
    );
  }
}

/** initdb wants a user with a name. */
async function firstUser(): Promise<number> {
  const lines = (await Deno.readTextFile("/etc/passwd")).split("\n").map((line) => line.split(":"));
  for (const name of USERS) {
    const uid = Number(lines.find(([found]) => found === name)?.[2]);
    if (uid > 0) return uid;
  }
  throw new EmbeddedRefused(
    `Postgres refuses to run as root, and there is no user ${USERS.join(" or ")}; start Rookery as another user`,
  );
}

/** Of the capabilities that would do, the smaller one that this process has. */
function heldCapability(): string | undefined {
  const status = readProcFile("/proc/self/status") ?? "";
  const held = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  return CAPABILITIES.find(([, bit]) => (held >> BigInt(bit)) & 1n)?.[0];
}

async function setprivExists(): Promise<boolean> {
  return await new Deno.Command("setpriv", { args: ["--version"], stdout: "null", stderr: "null" }).output()
    .then(({ success }) => success, () => false);
}
